//! The program that `cargo xtask fuzz` runs. With the feature `libfuzzer` that is its main
//! function; without, it plays the files that it is given, to look into a finding.

#![cfg_attr(feature = "libfuzzer", no_main)]

#[cfg(feature = "libfuzzer")]
mod fuzzer {
    use std::sync::OnceLock;

    use karvan_fuzz::{TARGETS, Target, target};

    static TARGET: OnceLock<&Target> = OnceLock::new();

    /// Chooses the target and writes its first inputs and words where the environment says.
    fn begin() -> &'static Target {
        if std::env::var_os("KARVAN_FUZZ_LIST").is_some() {
            for target in TARGETS {
                println!("{:10} {}", target.name, target.about);
            }
            #[expect(clippy::disallowed_methods, reason = "the main function is libFuzzer's")]
            std::process::exit(0);
        }
        let name = std::env::var("KARVAN_FUZZ_TARGET").unwrap_or_default();
        let found = target(&name).or(TARGETS.first());
        let Some(found) = found else { std::process::abort() };
        if let Some(folder) = std::env::var_os("KARVAN_FUZZ_SEEDS") {
            let folder = std::path::PathBuf::from(folder);
            for (number, seed) in (found.seeds)().into_iter().enumerate() {
                std::fs::write(folder.join(format!("seed-{number}")), seed).ok();
            }
        }
        if let Some(file) = std::env::var_os("KARVAN_FUZZ_WORDS") {
            std::fs::write(file, words(found)).ok();
        }
        found
    }

    /// Returns the words of a target as libFuzzer reads them: one a line, in quotes.
    fn words(target: &Target) -> String {
        let quoted = |word: &&str| {
            let bytes = word.bytes().map(|byte| match byte {
                b'"' | b'\\' => format!("\\{}", char::from(byte)),
                b' '..=b'~' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            });
            format!("\"{}\"\n", bytes.collect::<String>())
        };
        target.words.iter().map(quoted).collect()
    }

    libfuzzer_sys::fuzz_target!(init: { TARGET.get_or_init(begin); }, |data: &[u8]| {
        (TARGET.get_or_init(begin).run)(data);
    });
}

#[cfg(not(feature = "libfuzzer"))]
fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(target) = karvan_fuzz::target(&name) else {
        println!("usage: karvan-fuzz TARGET FILE…; targets:");
        for target in karvan_fuzz::TARGETS {
            println!("  {:10} {}", target.name, target.about);
        }
        return std::process::ExitCode::from(2);
    };
    for file in arguments {
        match std::fs::read(&file) {
            Ok(bytes) => (target.run)(&bytes),
            Err(error) => {
                println!("{file}: {error}");
                return std::process::ExitCode::FAILURE;
            }
        }
        println!("{file}: the property of {name} holds");
    }
    std::process::ExitCode::SUCCESS
}
