//! Lines of text as glyphs: typefaces, shaping, directions, widths, and where lines break.
//!
//! A text is one paragraph of the bidirectional algorithm (Unicode Standard Annex 9): its direction
//! follows its first strong letter, and its levels are found before it is broken, so that a date
//! after an Urdu word keeps its order on whichever line it falls. Each line is then cut into runs
//! of one direction and one typeface. Arabic letters are shaped (OpenType, by rustybuzz): they join
//! and marks find their places. All other letters are one glyph each.
//!
//! Invariants: what was measured is what is drawn; each glyph knows the letters it stands for, so
//! that a reader's search and copy find the text in its logical order.
//!
//! Not here: positions on the page (`super::canvas`), the words (`super::labels`).

use std::ops::Range;

use krilla::text::{Font, GlyphId, KrillaGlyph};
use rustybuzz::{Direction, Face, UnicodeBuffer};
use unicode_bidi::{BidiInfo, Level};
use unicode_normalization::char::is_combining_mark;

use crate::paper::Error;
use crate::validate::{is_invisible, visible};
use crate::words::{Language, is_right_to_left};

static PLAIN: &[u8] = include_bytes!("../../../data/fonts/DejaVuSansCondensed.ttf");
static BOLD: &[u8] = include_bytes!("../../../data/fonts/DejaVuSansCondensed-Bold.ttf");
static URDU: &[u8] = include_bytes!("../../../data/fonts/NotoNaskhArabic.ttf");
static URDU_BOLD: &[u8] = include_bytes!("../../../data/fonts/NotoNaskhArabic-Bold.ttf");

/// Stands for a letter that the typefaces lack.
const MISSING: char = '□';
/// Line height of Latin and Cyrillic text in parts of the type size.
pub(super) const LEADING: f32 = 1.25;
/// Line height of a line with Urdu letters: marks stand above, bowls hang below.
const LEADING_URDU: f32 = 1.75;
/// How much larger Urdu is set, since its letters are lower for the same type size.
const URDU_SCALE: f32 = 1.2;
/// The isolates that keep a part from turning what stands beside it (Annex 9, section 2.5).
const ISOLATES: [char; 2] = ['\u{2068}', '\u{2069}'];

/// A typeface.
struct Type {
    font: Font,
    face: Face<'static>,
    units: f32,
    scale: f32,
}

/// Latin and Cyrillic beside Urdu, of one weight.
struct Weight {
    latin: Type,
    urdu: Type,
}

/// All typefaces.
pub(super) struct Types {
    plain: Weight,
    bold: Weight,
}

/// A text with its directions.
struct Paragraph<'a> {
    text: &'a str,
    /// None when everything is read from left to right.
    bidi: Option<BidiInfo<'a>>,
}

/// A line as it is drawn.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    text: String,
    /// Parts of one direction, as they stand from left to right.
    parts: Vec<(Range<usize>, bool)>,
    /// Whether it stands at the right edge of its box.
    pub(super) right_to_left: bool,
}

/// Letters of one typeface and direction, from left to right.
pub(super) struct Run<'a> {
    pub(super) font: &'a Font,
    pub(super) glyphs: Vec<KrillaGlyph>,
    /// Type size in parts of that of the line.
    pub(super) scale: f32,
    /// Width in parts of the type size of the line.
    pub(super) width: f32,
}

impl<'a> Paragraph<'a> {
    fn new(text: &'a str) -> Self {
        let bidi = text.chars().any(is_right_to_left).then(|| BidiInfo::new(text, None));
        Self { text, bidi }
    }

    fn line(&self, range: Range<usize>) -> Line {
        let text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        let paragraph = self.bidi.as_ref().and_then(|bidi| Some((bidi, bidi.paragraphs.first()?)));
        let Some((bidi, paragraph)) = paragraph else {
            let whole = 0..text.len();
            return Line { text, parts: vec![(whole, false)], right_to_left: false };
        };
        let start = range.start;
        let (levels, runs) = bidi.visual_runs(paragraph, range);
        let part = |run: Range<usize>| {
            let is_turned = levels.get(run.start).is_some_and(Level::is_rtl);
            (run.start - start..run.end - start, is_turned)
        };
        let parts = runs.into_iter().map(part).collect();
        Line { text, parts, right_to_left: paragraph.level.is_rtl() }
    }
}

impl Line {
    /// Makes one line of a text, however long.
    pub(super) fn new(text: &str) -> Self {
        Paragraph::new(text).line(0..text.len())
    }

    /// Returns the text in its logical order.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the line height in parts of the type size.
    pub(super) fn leading(&self) -> f32 {
        if self.text.chars().any(is_right_to_left) { LEADING_URDU } else { LEADING }
    }
}

/// Returns a part of a line that must not turn what stands beside it, nor be turned by it.
pub(super) fn apart(text: &str) -> String {
    let text = visible(text);
    if text.chars().any(is_right_to_left) {
        let [begin, end] = ISOLATES;
        format!("{begin}{text}{end}")
    } else {
        text.into_owned()
    }
}

impl Types {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { plain: Weight::new(PLAIN, URDU)?, bold: Weight::new(BOLD, URDU_BOLD)? })
    }

    fn weight(&self, bold: bool) -> &Weight {
        if bold { &self.bold } else { &self.plain }
    }

    /// Returns a text that can be drawn, and adds to `missing` what had to be replaced. Letters
    /// that nobody sees are left out; they could make the text read differently.
    pub(super) fn clean(&self, text: &str, missing: &mut impl Extend<char>) -> String {
        let Weight { latin, urdu } = &self.plain;
        let letter = |c: char| match c {
            c if ISOLATES.contains(&c) => Some(c),
            c if c.is_whitespace() => Some(' '),
            c if is_invisible(c) => None,
            c if latin.has(c) || (is_right_to_left(c) && urdu.has(c)) => Some(c),
            c => {
                missing.extend([c]);
                Some(MISSING)
            }
        };
        text.chars().filter_map(letter).collect()
    }

    /// Returns the runs of a line, from left to right.
    pub(super) fn runs(&self, line: &Line, bold: bool) -> Vec<Run<'_>> {
        let weight = self.weight(bold);
        let mut runs = Vec::new();
        for (part, is_turned) in &line.parts {
            let mut pieces = weight.pieces(&line.text, part.clone());
            if *is_turned {
                pieces.reverse();
            }
            runs.extend(
                pieces.into_iter().map(|(range, face)| face.run(&line.text, range, *is_turned)),
            );
        }
        runs
    }

    /// Returns the width of a line.
    pub(super) fn width(&self, line: &Line, size: f32, bold: bool) -> f32 {
        self.runs(line, bold).iter().map(|run| run.width).sum::<f32>() * size
    }

    /// Breaks a text into lines of at most `width`, between words where it can.
    pub(super) fn lines(&self, text: &str, size: f32, width: f32) -> Vec<Line> {
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
        let text = words.join(" ");
        let paragraph = Paragraph::new(&text);
        let fits = |range: Range<usize>| self.width(&paragraph.line(range), size, false) <= width;
        let mut lines = Vec::new();
        let (mut start, mut end) = (0, 0);
        for word in words {
            let first = if end == 0 { 0 } else { end + 1 };
            let last = first + word.len();
            if !fits(start..last) {
                if start < end {
                    lines.push(paragraph.line(start..end));
                }
                start = first;
                if !fits(first..last) {
                    for at in breaks(word, first) {
                        let next = at.end;
                        if start < at.start && !fits(start..next) {
                            lines.push(paragraph.line(start..at.start));
                            start = at.start;
                        }
                    }
                }
            }
            end = last;
        }
        if start < end {
            lines.push(paragraph.line(start..end));
        }
        lines
    }
}

/// Returns the places of a word's letters, each with the marks on it; the word begins at `first`.
fn breaks(word: &str, first: usize) -> Vec<Range<usize>> {
    let mut letters: Vec<Range<usize>> = Vec::new();
    for (at, letter) in word.char_indices() {
        let range = first + at..first + at + letter.len_utf8();
        match letters.last_mut() {
            Some(last) if is_combining_mark(letter) => last.end = range.end,
            _ => letters.push(range),
        }
    }
    letters
}

impl Weight {
    fn new(latin: &'static [u8], urdu: &'static [u8]) -> Result<Self, Error> {
        Ok(Self { latin: Type::new(latin, 1.0)?, urdu: Type::new(urdu, URDU_SCALE)? })
    }

    /// Cuts a part of one direction where the typeface changes. A space stays with the word before
    /// it.
    fn pieces(&self, text: &str, part: Range<usize>) -> Vec<(Range<usize>, &Type)> {
        let mut pieces: Vec<(Range<usize>, bool)> = Vec::new();
        for (at, letter) in text.get(part.clone()).unwrap_or_default().char_indices() {
            let range = part.start + at..part.start + at + letter.len_utf8();
            let is_urdu = is_right_to_left(letter);
            match pieces.last_mut() {
                Some((last, before)) if *before == is_urdu || letter == ' ' => last.end = range.end,
                _ => pieces.push((range, is_urdu)),
            }
        }
        let face = |is_urdu| if is_urdu { &self.urdu } else { &self.latin };
        pieces.into_iter().map(|(range, is_urdu)| (range, face(is_urdu))).collect()
    }
}

impl Type {
    fn new(bytes: &'static [u8], scale: f32) -> Result<Self, Error> {
        let broken = Error::Drawing("a typeface is damaged");
        let (Some(font), Some(face)) = (Font::new(bytes.into(), 0), Face::from_slice(bytes, 0))
        else {
            return Err(broken);
        };
        let units = face.units_per_em() as f32;
        Ok(Self { font, face, units, scale })
    }

    fn has(&self, letter: char) -> bool {
        self.face.glyph_index(letter).is_some()
    }

    fn run(&self, text: &str, range: Range<usize>, is_turned: bool) -> Run<'_> {
        let is_plain =
            text.get(range.clone()).is_some_and(|part| !part.chars().any(is_right_to_left));
        let glyphs = if is_plain && !is_turned {
            self.letters(text, range)
        } else {
            self.shape(text, range, is_turned)
        };
        let width = glyphs.iter().map(|glyph| glyph.x_advance).sum::<f32>() * self.scale;
        Run { font: &self.font, glyphs, scale: self.scale, width }
    }

    /// One glyph for each letter. Isolates have none.
    fn letters(&self, text: &str, range: Range<usize>) -> Vec<KrillaGlyph> {
        let glyph = |(at, letter): (usize, char)| {
            let id = self.face.glyph_index(letter)?;
            let advance = self.face.glyph_hor_advance(id).unwrap_or_default();
            let from = range.start + at;
            let advance = f32::from(advance) / self.units;
            let text = from..from + letter.len_utf8();
            let id = GlyphId::new(u32::from(id.0));
            Some(KrillaGlyph::new(id, advance, 0.0, 0.0, 0.0, text, None))
        };
        let part = text.get(range.clone()).unwrap_or_default();
        part.char_indices().filter_map(glyph).collect()
    }

    /// Joined letters, with their marks in place.
    fn shape(&self, text: &str, range: Range<usize>, is_turned: bool) -> Vec<KrillaGlyph> {
        let mut buffer = UnicodeBuffer::new();
        for (at, letter) in text.get(range.clone()).unwrap_or_default().char_indices() {
            if !ISOLATES.contains(&letter) {
                buffer.add(letter, u32::try_from(range.start + at).unwrap_or(u32::MAX));
            }
        }
        buffer.set_direction(if is_turned {
            Direction::RightToLeft
        } else {
            Direction::LeftToRight
        });
        if let Ok(language) = Language::Ur.code().parse() {
            buffer.set_language(language);
        }
        buffer.guess_segment_properties();
        let shaped = rustybuzz::shape(&self.face, &[], buffer);
        let mut starts: Vec<usize> =
            shaped.glyph_infos().iter().map(|g| g.cluster as usize).collect();
        starts.sort_unstable();
        starts.dedup();
        let positions = shaped.glyph_infos().iter().zip(shaped.glyph_positions());
        let part = |units: i32| units as f32 / self.units;
        positions
            .map(|(info, position)| {
                let start = info.cluster as usize;
                let next = starts.iter().find(|&&next| next > start);
                let text = start..next.copied().unwrap_or(range.end);
                KrillaGlyph::new(
                    GlyphId::new(info.glyph_id),
                    part(position.x_advance),
                    part(position.x_offset),
                    part(position.y_offset),
                    part(position.y_advance),
                    text,
                    None,
                )
            })
            .collect()
    }
}
