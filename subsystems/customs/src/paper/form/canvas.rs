//! Text, lines and rectangles on a page: measuring, breaking and drawing.
//!
//! Lengths are points (1/72 inch), from the upper left corner. Text is Latin or Cyrillic: one
//! glyph for each letter, so that what was measured is what is drawn.

use krilla::color::luma;
use krilla::geom::{PathBuilder, Point, Rect, Transform};
use krilla::num::NormalizedF32;
use krilla::paint::{Fill, FillRule, Stroke};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use ttf_parser::Face;

use crate::paper::Error;
use crate::paper::qr::Code;

static PLAIN: &[u8] = include_bytes!("../../../data/fonts/DejaVuSansCondensed.ttf");
static BOLD: &[u8] = include_bytes!("../../../data/fonts/DejaVuSansCondensed-Bold.ttf");

/// Stands for a letter that the typeface lacks.
const MISSING: char = '□';
/// Line height in parts of the type size.
pub(super) const LEADING: f32 = 1.25;
/// Width of the lines of boxes.
const LINE_WIDTH: f32 = 0.6;

/// A typeface.
pub(super) struct Type {
    font: Font,
    face: Face<'static>,
    units: f32,
}

/// Both typefaces.
pub(super) struct Types {
    pub(super) plain: Type,
    pub(super) bold: Type,
}

impl Types {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { plain: Type::new(PLAIN)?, bold: Type::new(BOLD)? })
    }
}

impl Type {
    fn new(bytes: &'static [u8]) -> Result<Self, Error> {
        let broken = Error::Drawing("a typeface is damaged");
        let (Some(font), Ok(face)) = (Font::new(bytes.into(), 0), Face::parse(bytes, 0)) else {
            return Err(broken);
        };
        let units = f32::from(face.units_per_em());
        Ok(Self { font, face, units })
    }

    /// Returns a text that can be drawn, and adds to `missing` what had to be replaced.
    pub(super) fn clean(&self, text: &str, missing: &mut impl Extend<char>) -> String {
        let letter = |c: char| match c {
            c if c.is_control() || c.is_whitespace() => ' ',
            c if self.face.glyph_index(c).is_some() => c,
            c => {
                missing.extend([c]);
                MISSING
            }
        };
        text.chars().map(letter).collect()
    }

    fn glyph(&self, letter: char) -> (GlyphId, f32) {
        let id = self.face.glyph_index(letter).unwrap_or_default();
        let advance = self.face.glyph_hor_advance(id).unwrap_or_default();
        (GlyphId::new(u32::from(id.0)), f32::from(advance) / self.units)
    }

    /// Returns the width of a text.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|letter| self.glyph(letter).1).sum::<f32>() * size
    }

    /// Breaks a text into lines of at most `width`, between words where it can.
    pub(super) fn lines(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(&longer, size) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                line.push(letter);
                if self.width(&line, size) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, letter.to_string()));
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }
}

/// Draws on one page.
pub(super) struct Canvas<'a, 's> {
    pub(super) surface: &'a mut Surface<'s>,
    pub(super) types: &'a Types,
}

impl Canvas<'_, '_> {
    fn fill(&mut self, grey: u8) {
        let paint = luma::Color::new(grey).into();
        let fill = Fill { paint, opacity: NormalizedF32::ONE, rule: FillRule::NonZero };
        self.surface.set_stroke(None);
        self.surface.set_fill(Some(fill));
    }

    fn draw(&mut self, at: (f32, f32), size: f32, bold: bool, text: &str) {
        let face = if bold { &self.types.bold } else { &self.types.plain };
        let glyphs: Vec<KrillaGlyph> = text
            .char_indices()
            .map(|(from, letter)| {
                let (id, advance) = face.glyph(letter);
                KrillaGlyph::new(id, advance, 0.0, 0.0, 0.0, from..from + letter.len_utf8(), None)
            })
            .collect();
        let start = Point::from_xy(at.0, at.1);
        self.surface.draw_glyphs(start, &glyphs, face.font.clone(), text, size, false);
    }

    /// Writes one line with its base line at `at`.
    pub(super) fn text(&mut self, at: (f32, f32), size: f32, text: &str) {
        self.fill(0);
        self.draw(at, size, false, text);
    }

    /// Writes one bold line.
    pub(super) fn bold(&mut self, at: (f32, f32), size: f32, text: &str) {
        self.fill(0);
        self.draw(at, size, true, text);
    }

    /// Writes a label, in dark grey.
    pub(super) fn label(&mut self, at: (f32, f32), size: f32, text: &str) {
        self.fill(70);
        self.draw(at, size, false, text);
    }

    /// Writes lines downwards from `at`, the upper left corner.
    pub(super) fn block(&mut self, at: (f32, f32), size: f32, lines: &[String]) {
        let mut y = at.1 + size;
        for line in lines {
            self.text((at.0, y), size, line);
            y += size * LEADING;
        }
    }

    /// Draws the lines of a box.
    pub(super) fn frame(&mut self, x: f32, y: f32, width: f32, height: f32) {
        let mut path = PathBuilder::new();
        let Some(rect) = Rect::from_xywh(x, y, width, height) else { return };
        path.push_rect(rect);
        let Some(path) = path.finish() else { return };
        self.surface.set_fill(None);
        let paint = luma::Color::new(0).into();
        self.surface.set_stroke(Some(Stroke { paint, width: LINE_WIDTH, ..Stroke::default() }));
        self.surface.draw_path(&path);
        self.surface.set_stroke(None);
    }

    /// Draws a code with its upper left corner at `at`; `side` is the length without quiet zone.
    pub(super) fn code(&mut self, at: (f32, f32), side: f32, code: &Code) {
        let mut path = PathBuilder::new();
        let module = |n: usize| n as f32 * side / code.size as f32;
        for y in 0..code.size {
            let mut x = 0;
            while x < code.size {
                let dark = (x..code.size).take_while(|&x| code.is_dark(x, y)).count();
                let (left, top) = (at.0 + module(x), at.1 + module(y));
                if dark > 0
                    && let Some(run) = Rect::from_xywh(left, top, module(dark), module(1))
                {
                    path.push_rect(run);
                }
                x += dark + 1;
            }
        }
        let Some(path) = path.finish() else { return };
        self.fill(0);
        self.surface.draw_path(&path);
    }

    /// Writes across the page, turned and in light grey, centred at `at`.
    pub(super) fn watermark(&mut self, at: (f32, f32), size: f32, text: &str) {
        let width = self.types.bold.width(text, size);
        let turn = Transform::from_rotate_at(-50.0, at.0, at.1);
        self.surface.push_transform(&turn);
        self.fill(230);
        self.draw((at.0 - width / 2.0, at.1), size, true, text);
        self.surface.pop();
    }
}
