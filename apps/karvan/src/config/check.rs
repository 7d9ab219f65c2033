//! Rules beyond the form of single values, each problem with line, key and remedy.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use http::Uri;

use super::{Config, DeliveryMode, Unlock};
use crate::files;

/// Most documents in flight to one peer.
const RELAY_WINDOW_MAX: usize = 4096;

/// Longest time that a new connection to another node may take.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_mins(10);

/// Something that could not work.
#[derive(Debug)]
pub(super) struct Problem {
    line: usize,
    key: String,
    text: String,
    remedy: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`: {}; {}", self.line, self.key, self.text, self.remedy)
    }
}

/// Returns the line, from 1, in which a byte stands.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Returns the line of a key: that of its section when it takes its default, 1 when neither is
/// there. `nth` counts sections of one name.
fn line_of(text: &str, section: &str, key: &str, nth: usize) -> usize {
    let heads = [format!("[{section}]"), format!("[[{section}]]")];
    let mut seen = 0;
    let mut head = 1;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            if seen > nth {
                break;
            }
            if heads.iter().any(|head| line.starts_with(head.as_str())) {
                seen += 1;
                head = index + 1;
            }
        } else if seen == nth + 1
            && line.split_once('=').is_some_and(|(name, _)| name.trim() == key)
        {
            return index + 1;
        }
    }
    head
}

struct Problems<'t> {
    text: &'t str,
    found: Vec<Problem>,
}

impl Problems<'_> {
    fn add(&mut self, section: &str, key: &str, text: impl Into<String>, remedy: &'static str) {
        self.add_nth((section, 0), key, text, remedy);
    }

    fn add_nth(
        &mut self,
        (section, nth): (&str, usize),
        key: &str,
        text: impl Into<String>,
        remedy: &'static str,
    ) {
        let line = line_of(self.text, section, key, nth);
        let key = format!("{section}.{key}");
        self.found.push(Problem { line, key, text: text.into(), remedy });
    }

    fn missing(&mut self, section: &str, key: &str, path: &Path, remedy: &'static str) -> bool {
        let there = path.exists();
        if !there {
            self.add(section, key, format!("{} does not exist", path.display()), remedy);
        }
        !there
    }
}

impl Config {
    /// Returns all problems, in the order of the file's sections.
    pub(super) fn problems(&self, text: &str) -> Vec<Problem> {
        let mut problems = Problems { text, found: Vec::new() };
        self.check_keys(&mut problems);
        self.check_addresses(&mut problems);
        self.check_folders(&mut problems);
        self.check_exchange(&mut problems);
        self.check_calls(&mut problems);
        self.check_delivery(&mut problems);
        self.check_service(&mut problems);
        let filter = tracing_subscriber::EnvFilter::builder().parse(&self.telemetry.log);
        if let Err(error) = filter {
            let remedy = "write a level, such as info, or levels of parts, part=level";
            problems.add("telemetry", "log", error.to_string(), remedy);
        }
        if self.telemetry.traces.is_some() && !cfg!(feature = "otel") {
            let text = "this program was built without traces";
            let remedy = "build it with `cargo build --release --features otel`";
            problems.add("telemetry", "traces", text, remedy);
        }
        problems.found
    }

    fn check_keys(&self, problems: &mut Problems<'_>) {
        let remedy = "make keys with `karvan init`, or name the folder that holds master.json";
        problems.missing("keys", "folder", &self.keys.folder.join("master.json"), remedy);
        match &self.keys.unlock {
            Unlock::KeyFile(path) => {
                let remedy = "name the key file that the folder was made with";
                if !problems.missing("keys", "unlock", path, remedy) && files::open_to_others(path)
                {
                    let text = format!("{} can be read by others", path.display());
                    problems.add("keys", "unlock", text, "take their rights away: chmod 600");
                }
            }
            Unlock::PassphraseEnv(name) => {
                if std::env::var_os(name).is_none() {
                    let text = format!("the environment variable {name} is not set");
                    problems.add("keys", "unlock", text, "set it to the passphrase of the folder");
                }
            }
        }
    }

    fn check_addresses(&self, problems: &mut Problems<'_>) {
        if self.peer.listen.port() == 0 {
            let text = "port 0 would be another one at each start";
            problems.add("peer", "listen", text, "write the port that is on the national list");
        }
        if !self.local.listen.ip().is_loopback() {
            let text = format!("{} is not a loopback address", self.local.listen);
            let remedy = "listen on 127.0.0.1 and put a proxy with TLS in front for other machines";
            problems.add("local", "listen", text, remedy);
        }
        let remedy = "issue one with `karvan init renew`";
        problems.missing("peer", "certificate", &self.peer.certificate, remedy);
        let remedy = "make tokens with `karvan init token`";
        problems.missing("local", "token-file", &self.local.token_file, remedy);
    }

    fn check_folders(&self, problems: &mut Problems<'_>) {
        let remedy = "make it, and install root and lists with `karvan init install`";
        problems.missing("trust", "folder", &self.trust.folder, remedy);
        let remedy = "make it, empty if there is no agreement yet";
        problems.missing("agreements", "folder", &self.agreements.folder, remedy);
        if self.log.signed_size_file.starts_with(self.log_folder()) {
            let text = "it must not be inside the folder of the log, whose roll-back it finds";
            let remedy = "name a file elsewhere, best on another volume";
            problems.add("log", "signed-size-file", text, remedy);
        }
    }

    fn check_exchange(&self, problems: &mut Problems<'_>) {
        let window = self.exchange.relay_window;
        if !(1..=RELAY_WINDOW_MAX).contains(&window) {
            let text = format!("{window} is not from 1 to {RELAY_WINDOW_MAX}");
            problems.add(
                "exchange",
                "relay-window",
                text,
                "write how many documents may be in flight",
            );
        }
        if self.exchange.retry_first.duration() > self.exchange.retry_longest.duration() {
            let text = "the longest pause is shorter than the first";
            problems.add("exchange", "retry-longest", text, "make it at least retry-first");
        }
    }

    fn check_calls(&self, problems: &mut Problems<'_>) {
        if self.calls.connect_timeout.duration() > CONNECT_TIMEOUT_MAX {
            let text = format!("{} is longer than 10m", self.calls.connect_timeout);
            let remedy = "write how long a new connection to a node may take, such as 10s";
            problems.add("calls", "connect-timeout", text, remedy);
        }
    }

    fn check_service(&self, problems: &mut Problems<'_>) {
        if self.service.requests_per_minute == 0 {
            let remedy = "write how many requests a token may make in a minute";
            problems.add("service", "requests-per-minute", "nobody could ask anything", remedy);
        }
        for (nth, entry) in self.webhook.iter().enumerate() {
            let at = ("webhook", nth);
            let is_name = (1..=40).contains(&entry.name.len())
                && entry.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            if !is_name || self.webhook.iter().take(nth).any(|other| other.name == entry.name) {
                let remedy = "give each its own name of letters, digits and hyphens";
                problems.add_nth(at, "name", "it is no name, or not its own", remedy);
            }
            if entry.member.instance() != self.node.id.instance() {
                let text = format!("{} is of another nation than this node", entry.member);
                problems.add_nth(at, "member", text, "name a member that this node serves");
            }
            let uri = entry.url.parse::<Uri>().ok();
            let fits = uri.and_then(|uri| {
                let known = matches!(uri.scheme_str(), Some("http" | "https"));
                uri.authority().filter(|a| known && !a.as_str().contains('@')).map(|_| ())
            });
            if fits.is_none() {
                let remedy = "write https://host/path, without a user or password";
                problems.add_nth(at, "url", "it cannot be posted to", remedy);
            }
        }
    }

    fn check_delivery(&self, problems: &mut Problems<'_>) {
        for (nth, entry) in self.delivery.iter().enumerate() {
            let at = ("delivery", nth);
            if entry.member.instance() != self.node.id.instance() {
                let text = format!("{} is of another nation than this node", entry.member);
                problems.add_nth(at, "member", text, "name a member that this node serves");
            }
            if self.delivery.iter().take(nth).any(|other| other.member == entry.member) {
                let text = format!("{} is named twice", entry.member);
                problems.add_nth(at, "member", text, "keep one of them");
            }
            match (entry.mode, &entry.url) {
                (DeliveryMode::Push, None) => {
                    problems.add_nth(at, "url", "it is missing", "write the URL to push to");
                }
                (DeliveryMode::Push, Some(url)) if !is_push_url(url) => {
                    let remedy = "write http://host:port/path, without a user or password";
                    problems.add_nth(at, "url", "it cannot be pushed to", remedy);
                }
                (DeliveryMode::Pull, Some(_)) => {
                    problems.add_nth(
                        at,
                        "url",
                        "pull has none",
                        "delete it, or write mode = \"push\"",
                    );
                }
                _ => {}
            }
        }
    }
}

fn is_push_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    uri.scheme_str() == Some("http") && !authority.is_empty() && !authority.contains('@')
}
