use super::*;

/// A configuration whose files exist, and the folder that holds them.
fn world() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("folder");
    for folder in ["keys", "lists", "agreements"] {
        files::make_folder(&dir.path().join(folder)).expect("made");
    }
    for file in ["keys/master.json", "node.crt", "tokens.json"] {
        files::write(&dir.path().join(file), b"x").expect("written");
    }
    files::write_secret(&dir.path().join("unlock.key"), b"x").expect("written");
    let text = r#"[node]
id = "PK/node/karachi-1"

[keys]
folder = "keys"
unlock = { key-file = "unlock.key" }

[peer]
listen = "127.0.0.1:7443"

[exchange]
delivery-deadline = "24h"
"#;
    (dir, text.to_owned())
}

fn load(dir: &Path, text: &str) -> Result<Config> {
    let path = dir.join("node.toml");
    files::write(&path, text.as_bytes()).expect("written");
    Config::load(&path)
}

#[test]
fn defaults_are_visible_and_what_is_shown_can_be_read() {
    let (dir, text) = world();
    let config = load(dir.path(), &text).expect("good");
    let shown = config.show().expect("shown");
    for line in [
        "relay-window = 64",
        "delivery-deadline = \"1d\"",
        "retry-longest = \"10m\"",
        "listen = \"127.0.0.1:7480\"",
        "format = \"text\"",
    ] {
        assert!(shown.contains(line), "`{line}` is not in\n{shown}");
    }
    let again = load(dir.path(), &shown).expect("its own output");
    assert_eq!(again.show().expect("shown"), shown);
}

#[test]
fn problems_name_line_key_and_remedy() {
    let (dir, good) = world();
    let check = |from: &str, to: &str, parts: &[&str]| {
        assert!(good.contains(from), "{from}");
        let error = load(dir.path(), &good.replacen(from, to, 1)).expect_err(to);
        let text = crate::failure::text(&error);
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in\n{text}");
        }
        assert_eq!(crate::failure::kind(&error), ErrorKind::LocalConfig, "{text}");
    };
    check("folder = \"keys\"", "fodler = \"keys\"", &["node.toml:5:", "unknown field `fodler`"]);
    check("\"24h\"", "\"24 hours\"", &["node.toml:12:", "delivery-deadline", "such as 30s"]);
    check("PK/node/karachi-1", "karachi", &["node.toml:2:", "`id`", "such as PK/node/karachi-1"]);
    check(":7443", ":0", &["node.toml:9:", "`peer.listen`", "national list"]);
    check(":7443", "", &["node.toml:9:", "`listen`"]);
    check("\"keys\"", "\"nowhere\"", &["node.toml:5:", "`keys.folder`", "karvan init"]);
    check("\"unlock.key\"", "\"node.crt\"", &["node.toml:6:", "`keys.unlock`", "chmod 600"]);
    check("key-file", "passphrase", &["node.toml:6:", "`unlock`"]);
    check("key-file = \"unlock.key\"", "passphrase-env = \"KARVAN_NO_SUCH\"", &["is not set"]);
    check("[keys]", "[key]", &["node.toml:4:", "unknown field `key`"]);
    let local = "[local]\nlisten = \"0.0.0.0:80\"\n\n[exchange]";
    check("[exchange]", local, &["node.toml:12:", "`local.listen`", "loopback"]);
    let window = "[exchange]\nrelay-window = 0";
    check("[exchange]", window, &["node.toml:12:", "`exchange.relay-window`"]);
    let connect = "[calls]\nconnect-timeout = \"11m\"\n[exchange]";
    check("[exchange]", connect, &["node.toml:12:", "`calls.connect-timeout`", "10m"]);
    let log = "[log]\nsigned-size-file = \"data/log/x\"\n[exchange]";
    check("[exchange]", log, &["node.toml:12:", "`log.signed-size-file`", "another volume"]);
    let delivery = "[[delivery]]\nmember = \"PK/GOV/FBR\"\nmode = \"pull\"\n\n[[delivery]]\n\
                    member = \"AZ/GOV/SCC\"\nmode = \"push\"\nurl = \"http://u:p@h/\"\n\n\
                    [exchange]";
    check("[exchange]", delivery, &["node.toml:16:", "node.toml:18:", "without a user"]);
    let telemetry = "[telemetry]\nlog = \"a=b=c\"\n[exchange]";
    check("[exchange]", telemetry, &["node.toml:12:", "`telemetry.log`"]);
}

#[test]
fn a_missing_file_is_told_with_what_to_name() {
    let error = Config::load(Path::new("no-such-file.toml")).expect_err("missing");
    let text = crate::failure::text(&error);
    assert!(text.contains("no-such-file.toml") && text.contains("hint: "), "{text}");
}

#[test]
fn every_key_is_in_the_manual_with_its_default() {
    const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate/README.md");
    let (dir, text) = world();
    let text = text.replace("delivery-deadline = \"24h\"\n", "");
    let shown = load(dir.path(), &text).expect("good").show().expect("shown");
    let manual = std::fs::read_to_string(MANUAL).expect("the manual");
    let table: toml::Table = shown.parse().expect("TOML");
    for (section, keys) in table {
        for (key, value) in keys.as_table().expect("a section") {
            let row = format!("| `{section}.{key}` | ");
            let row = manual.lines().find(|line| line.starts_with(&row)).expect(&row);
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let default = row.split('|').nth(2).expect("a default").trim().trim_matches('`');
            // Paths are shown absolute; keys without a default have an empty cell.
            assert!(default.is_empty() || value.ends_with(default), "{row}: {value}");
        }
    }
}
