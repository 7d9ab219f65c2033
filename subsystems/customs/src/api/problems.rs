//! Refusals of the service in the languages of the two countries.
//!
//! A refusal is written in English, with its values, and that text is what stays in the evidence.
//! Who asks in Azerbaijani or Urdu reads a sentence for its code instead, without the values, and
//! has the English text beside it. A code that has no sentence of its own is told by its kind.
//!
//! Invariants: both languages have the same sentences; every kind has one.
//!
//! Not here: the choice of language, and which members a problem has (the kernel).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use karvan_subsystem::Rejection;
use karvan_subsystem::interface::Said;
use serde::Deserialize;

/// What begins the codes of this sub-system.
const PREFIX: &str = "customs.";

/// The sentences of a language.
#[derive(Debug, Default, Deserialize)]
struct Sentences {
    /// Titles, by kind of refusal.
    kind: BTreeMap<String, String>,
    /// By code of this sub-system, without its prefix.
    customs: BTreeMap<String, String>,
    /// By code of the kernel.
    service: BTreeMap<String, String>,
}

static AZERBAIJANI: LazyLock<Sentences> =
    LazyLock::new(|| read(include_str!("../../data/words/problems.az.toml")));
static URDU: LazyLock<Sentences> =
    LazyLock::new(|| read(include_str!("../../data/words/problems.ur.toml")));

/// Reads a shipped file. The tests see to it that each can be read.
fn read(text: &str) -> Sentences {
    toml::from_str(text).unwrap_or_default()
}

fn sentences(language: &str) -> Option<&'static Sentences> {
    match language {
        "az" => Some(&AZERBAIJANI),
        "ur" => Some(&URDU),
        _ => None,
    }
}

/// Says a refusal in a language other than English.
pub(super) fn say(rejection: &Rejection, language: &str) -> Option<Said> {
    let sentences = sentences(language)?;
    let title = sentences.kind.get(rejection.kind.label())?;
    let sentence = match rejection.code.strip_prefix(PREFIX) {
        Some(code) => sentences.customs.get(code),
        None => sentences.service.get(&rejection.code),
    };
    Some(Said { title: title.clone(), detail: sentence.unwrap_or(title).clone() })
}

#[cfg(test)]
mod tests {
    use karvan_types::ErrorKind;

    use super::*;

    #[test]
    fn both_languages_have_every_sentence() {
        let keys = |of: &BTreeMap<String, String>| of.keys().cloned().collect::<Vec<_>>();
        let (az, ur) = (&*AZERBAIJANI, &*URDU);
        assert_eq!(keys(&az.kind), keys(&ur.kind));
        assert_eq!(keys(&az.customs), keys(&ur.customs));
        assert_eq!(keys(&az.service), keys(&ur.service));
        assert!(az.customs.len() > 50 && az.service.len() > 10, "the files were read");
        for kind in ErrorKind::ALL {
            assert!(az.kind.contains_key(kind.label()), "{kind}");
        }
        for of in [az, ur] {
            let all = of.kind.values().chain(of.customs.values()).chain(of.service.values());
            assert!(all.into_iter().all(|sentence| !sentence.trim().is_empty()));
        }
    }

    #[test]
    fn a_refusal_is_told_by_its_code_or_its_kind() {
        let check = |language, code, title: &str, detail: &str| {
            let rejection = Rejection::new(ErrorKind::NotFound, code, "no certificate X-1 is here");
            let said = say(&rejection, language).map(|said| (said.title, said.detail));
            let (title, detail) = (title.to_owned(), detail.to_owned());
            assert_eq!(said, (!title.is_empty()).then_some((title, detail)), "{language} {code}");
        };
        check("az", "customs.no-task", "Burada yoxdur", "Belə tapşırıq yoxdur.");
        check("ur", "customs.no-task", "یہاں موجود نہیں", "ایسا کوئی کام نہیں۔");
        check("az", "token-missing", "Burada yoxdur", &AZERBAIJANI.service["token-missing"]);
        check("az", "customs.unheard", "Burada yoxdur", "Burada yoxdur");
        check("az", "no-task", "Burada yoxdur", "Burada yoxdur");
        check("en", "customs.no-task", "", "");
        check("de", "customs.no-task", "", "");
    }
}
