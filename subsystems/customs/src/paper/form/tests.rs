//! Shaping, directions and breaking of lines.

use rustybuzz::{BufferClusterLevel, Face, UnicodeBuffer, shape};

use super::labels;
use super::text::{Line, Types, apart};
use crate::words::{Language, is_right_to_left};

static URDU: &[u8] = include_bytes!("../../../data/fonts/NotoNaskhArabic.ttf");
/// The letters of Urdu.
const LETTERS: &str = "اآبپتٹثجچحخدڈذرڑزژسشصضطظعغفقکگلمنںوہھءیےئؤۂۃأ";

fn types() -> Types {
    Types::new().expect("the typefaces load")
}

fn glyphs(text: &str) -> Vec<u32> {
    let types = types();
    let runs = types.runs(&Line::new(text), false);
    runs.iter().flat_map(|run| &run.glyphs).map(|glyph| glyph.glyph_id.to_u32()).collect()
}

/// Returns the glyph of a letter with joiners where it has neighbours, which is how the Unicode
/// Standard (section 9.2) asks for a form.
fn form_of(letter: char, before: bool, after: bool) -> u32 {
    let face = Face::from_slice(URDU, 0).expect("a typeface");
    let joiner = |wanted: bool| if wanted { "\u{200d}" } else { "" };
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(&format!("{}{letter}{}", joiner(before), joiner(after)));
    buffer.set_cluster_level(BufferClusterLevel::Characters);
    let at = u32::try_from(joiner(before).len()).expect("small");
    let shaped = shape(&face, &[], buffer);
    let own = shaped.glyph_infos().iter().find(|info| info.cluster == at);
    own.expect("a glyph").glyph_id
}

#[test]
fn letters_of_a_word_are_joined() {
    // From right to left: initial, medial, final; a letter that never joins to its left ends a
    // part of the word.
    for (word, forms) in [
        ("سبق", vec![('س', false, true), ('ب', true, true), ('ق', true, false)]),
        (
            "ٹیکس",
            vec![('ٹ', false, true), ('ی', true, true), ('ک', true, true), ('س', true, false)],
        ),
        (
            "گڑھے",
            vec![('گ', false, true), ('ڑ', true, false), ('ھ', false, true), ('ے', true, false)],
        ),
    ] {
        let expected = forms.iter().rev().map(|&(letter, before, after)| {
            let joined = form_of(letter, before, after);
            let alone = form_of(letter, false, false);
            assert_eq!(joined == alone, !before && !after, "{letter} of {word}");
            joined
        });
        assert_eq!(glyphs(word), expected.collect::<Vec<_>>(), "{word}");
    }
}

#[test]
fn every_letter_has_a_glyph_beside_every_other() {
    let types = types();
    let mut missing = Vec::new();
    for first in LETTERS.chars() {
        for second in LETTERS.chars() {
            let word = types.clean(&format!("{first}{second}{first}"), &mut missing);
            assert!(glyphs_of(&types, &word).all(|id| id != 0), "{word}");
        }
    }
    types.clean("۰۱۲۳۴۵۶۷۸۹ ٠١٢٣٤٥٦٧٨٩ ، ؛ ؟ ۔ ي ك ه ة َ ِ ُ ّ ٰ", &mut missing);
    assert_eq!(missing, []);
    // Of another script, of a language that nobody here writes, and of Sindhi.
    types.clean("茶 Ж ש ڳ", &mut missing);
    assert_eq!(missing, ['茶', 'ש', 'ڳ']);
}

fn glyphs_of(types: &Types, text: &str) -> impl Iterator<Item = u32> {
    let runs = types.runs(&Line::new(text), false);
    let ids = |run: &super::text::Run<'_>| -> Vec<u32> {
        run.glyphs.iter().map(|glyph| glyph.glyph_id.to_u32()).collect()
    };
    runs.iter().flat_map(ids).collect::<Vec<_>>().into_iter()
}

/// Returns the letters as they stand from left to right.
fn seen(text: &str) -> String {
    let line = Line::new(text);
    let types = types();
    let runs = types.runs(&line, false);
    let glyphs = runs.iter().flat_map(|run| &run.glyphs);
    glyphs.map(|glyph| line.text().get(glyph.text_range.clone()).expect("letters")).collect()
}

#[test]
fn mixed_lines_keep_their_order() {
    let label = |value: &str| labels::UNTIL.with(Language::Ur, value);
    for (text, expected) in [
        ("Karachi 2027-09-01".to_owned(), "Karachi 2027-09-01"),
        ("ابپ".to_owned(), "پبا"),
        // A date and a number keep their digits in order.
        (label("2027-09-01"), "Valid until / ات دمآراک: 2027-09-01"),
        ("دج 1500 KGM".to_owned(), "KGM 1500 جد"),
        // What stands in an isolate does not turn what follows it.
        (format!("{} 7, {}", apart("دو"), apart("رز")), "ود 7, زر"),
        (labels::ORIGIN.with(Language::Ur, "دو"), "Origin / أدبم: ود"),
        (labels::ORIGIN.with(Language::Ur, "AZ"), "Origin / أدبم: AZ"),
    ] {
        assert_eq!(seen(&text), expected, "{text}");
    }
    assert!(Line::new("دو Baku").right_to_left);
    assert!(!Line::new("Baku دو").right_to_left);
}

#[test]
fn lines_break_between_words_and_fit() {
    let types = types();
    let long = "ریفائنڈ تانبے کا تار 2027-09-01 Xəzər Kabel MMC لکڑی کے ڈبوں میں ".repeat(20);
    let unbroken = "ببب".repeat(200);
    for (text, width) in [(long.as_str(), 120.0), (&long, 40.0), (&unbroken, 60.0), ("دو", 1.0)] {
        let lines = types.lines(text, 8.0, width);
        let glue = if text.contains(' ') { " " } else { "" };
        for line in &lines {
            let own = types.width(line, 8.0, false);
            let letters = line.text().chars().count();
            assert!(own <= width || letters == 1, "{own} of {width}: {line:?}");
            assert_eq!(line.right_to_left, is_right_to_left('ب'));
        }
        let whole: Vec<&str> = lines.iter().map(Line::text).collect();
        if width > 100.0 || glue.is_empty() {
            assert_eq!(whole.join(glue), text.trim());
        }
    }
    // A mark stays with its letter.
    let marked = "دِ".repeat(30);
    for line in types.lines(&marked, 8.0, 20.0) {
        assert!(line.text().starts_with('د'), "{line:?}");
    }
}
