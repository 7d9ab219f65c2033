//! Text, lines and rectangles on a page.
//!
//! Lengths are points (1/72 inch), from the upper left corner.
//!
//! Not here: which glyphs a text has and how wide it is (`super::text`).

use krilla::color::luma;
use krilla::geom::{PathBuilder, Point, Rect, Transform};
use krilla::num::NormalizedF32;
use krilla::paint::{Fill, FillRule, Stroke};
use krilla::surface::Surface;

use super::text::{LEADING, Line, Types};
use crate::paper::qr::Code;

/// Width of the lines of boxes.
const LINE_WIDTH: f32 = 0.6;

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

    fn draw(&mut self, at: (f32, f32), size: f32, bold: bool, line: &Line) {
        let mut x = at.0;
        for run in self.types.runs(line, bold) {
            let start = Point::from_xy(x, at.1);
            let size_of_run = size * run.scale;
            let font = run.font.clone();
            self.surface.draw_glyphs(start, &run.glyphs, font, line.text(), size_of_run, false);
            x += run.width * size;
        }
    }

    /// Writes one line with its base line at `at`.
    pub(super) fn text(&mut self, at: (f32, f32), size: f32, text: &str) {
        self.fill(0);
        self.draw(at, size, false, &Line::new(text));
    }

    /// Writes one bold line.
    pub(super) fn bold(&mut self, at: (f32, f32), size: f32, text: &str) {
        self.fill(0);
        self.draw(at, size, true, &Line::new(text));
    }

    /// Writes a label, in dark grey.
    pub(super) fn label(&mut self, at: (f32, f32), size: f32, text: &str) {
        self.label_line(at, size, &Line::new(text));
    }

    /// Writes a line of a label.
    pub(super) fn label_line(&mut self, at: (f32, f32), size: f32, line: &Line) {
        self.fill(70);
        self.draw(at, size, false, line);
    }

    /// Writes lines downwards from `at`, the upper left corner of a place of this width. What is
    /// read from right to left stands at the right edge.
    pub(super) fn block(&mut self, at: (f32, f32), width: f32, size: f32, lines: &[Line]) {
        let mut top = at.1;
        self.fill(0);
        for line in lines {
            // The room beyond the usual line height is above: the base line moves down.
            let base = top + size * (1.0 + line.leading() - LEADING);
            let room = width - self.types.width(line, size, false);
            let x = if line.right_to_left { at.0 + room.max(0.0) } else { at.0 };
            self.draw((x, base), size, false, line);
            top += size * line.leading();
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
        let line = Line::new(text);
        let width = self.types.width(&line, size, true);
        let turn = Transform::from_rotate_at(-50.0, at.0, at.1);
        self.surface.push_transform(&turn);
        self.fill(230);
        self.draw((at.0 - width / 2.0, at.1), size, true, &line);
        self.surface.pop();
    }
}
