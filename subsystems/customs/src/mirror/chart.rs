//! A picture of both sides month by month: bars in SVG, drawn without a library.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use karvan_types::{Date, Decimal};

use super::month_of;
use super::totals::Total;

/// Most months in one picture, the newest.
const MONTHS_MAX: usize = 36;
const HEIGHT: i64 = 300;
const TOP: i64 = 70;
const LEFT: i64 = 110;
const BAR: i64 = 26;
const STEP: i64 = 80;
/// Lines across, zero not counted.
const GRID: i64 = 4;
const EXPORTED: &str = "#1f5fa8";
const IMPORTED: &str = "#d9822b";

/// What is written around the bars.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The headline.
    pub title: &'a str,
    /// What the first bar of a month is.
    pub exported: &'a str,
    /// What the second bar is.
    pub imported: &'a str,
}

/// Draws the totals of one currency, with freight and insurance on both sides.
pub fn svg(totals: &[Total], currency: &str, words: Words<'_>) -> String {
    let mut months: BTreeMap<String, [Decimal; 2]> = BTreeMap::new();
    for total in totals.iter().filter(|total| total.currency.as_deref() == Some(currency)) {
        let [exported, imported] = months.entry(total.month.clone()).or_default();
        *exported += total.exported.value_cif;
        *imported += total.imported.value_cif;
    }
    fill(&mut months);
    while months.len() > MONTHS_MAX {
        months.pop_first();
    }
    let highest = months.values().flatten().copied().max().unwrap_or_default();
    let top = round_up(highest);
    let count = i64::try_from(months.len()).unwrap_or(0).max(1);
    let (width, base) = ((LEFT + count * STEP + 30).max(520), TOP + HEIGHT);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {full}\" \
         width=\"{width}\" height=\"{full}\" role=\"img\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"20\" y=\"28\" font-size=\"17\" font-weight=\"bold\">{title}</text>\n",
        full = base + 50,
        title = escaped(words.title),
    );
    for (x, colour, text) in [(20, EXPORTED, words.exported), (270, IMPORTED, words.imported)] {
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"42\" width=\"13\" height=\"13\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"53\">{}</text>",
            x + 19,
            escaped(text),
        );
    }
    draw_grid(&mut out, width, top);
    for (place, (month, sides)) in (0_i64..).zip(&months) {
        let x = LEFT + 14 + place * STEP;
        for (nth, (value, colour)) in (0_i64..).zip(sides.iter().zip([EXPORTED, IMPORTED])) {
            let height = pixels(*value, top);
            let _ = writeln!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"{BAR}\" height=\"{height}\" fill=\"{colour}\">\
                 <title>{month}: {} {}</title></rect>",
                x + nth * (BAR + 2),
                base - height,
                grouped(*value),
                escaped(currency),
            );
        }
        let middle = x + BAR + 1;
        let _ = writeln!(
            out,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{month}</text>",
            base + 20
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"20\" y=\"{}\" fill=\"#555555\" font-size=\"11\">{}, with freight and insurance. \
         A gap is a question, not a finding.</text>\n</svg>",
        base + 42,
        escaped(currency),
    );
    out
}

/// Adds the months between the first and the last in which nothing was declared.
fn fill(months: &mut BTreeMap<String, [Decimal; 2]>) {
    let day = |month: &String| format!("{month}-01").parse::<Date>().ok();
    let first = months.first_key_value().and_then(|(month, _)| day(month));
    let last = months.last_key_value().and_then(|(month, _)| day(month));
    let (Some(mut month), Some(last)) = (first, last) else { return };
    while month < last {
        months.entry(month_of(month)).or_default();
        let Ok(next) = month.last_of_month().tomorrow() else { return };
        month = next;
    }
}

/// Draws the lines across with their values.
fn draw_grid(out: &mut String, width: i64, top: Decimal) {
    for line in 0..=GRID {
        let y = TOP + HEIGHT - HEIGHT * line / GRID;
        let value = top * Decimal::from(line) / Decimal::from(GRID);
        let colour = if line == 0 { "#333333" } else { "#d8d8d8" };
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"{colour}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            width - 20,
            LEFT - 8,
            y + 4,
            grouped(value),
        );
    }
}

/// Returns the height of a bar in whole pixels; what is not zero is seen.
fn pixels(value: Decimal, top: Decimal) -> i64 {
    let height = (value * Decimal::from(HEIGHT)).checked_div(top).unwrap_or_default().round();
    let height = i64::try_from(height).unwrap_or(0);
    if value.is_zero() { 0 } else { height.max(1) }
}

/// Returns 1, 2, 4 or 8 times a power of ten, at least the value.
fn round_up(value: Decimal) -> Decimal {
    let mut step = Decimal::ONE;
    while step < value {
        for factor in [2, 4, 8, 10] {
            let top = step * Decimal::from(factor);
            if top >= value {
                return top;
            }
        }
        step *= Decimal::TEN;
    }
    step
}

/// Returns the number in groups of three digits, without decimals.
fn grouped(value: Decimal) -> String {
    let digits = value.round().normalize().to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_on_round_numbers() {
        for (value, wanted) in [(0, 1), (1, 1), (3, 4), (5, 8), (9, 10), (93_280, 100_000)] {
            assert_eq!(round_up(Decimal::from(value)), Decimal::from(wanted), "{value}");
        }
        assert_eq!(grouped(Decimal::from(1_234_567)), "1\u{202f}234\u{202f}567");
        assert_eq!(pixels(Decimal::ONE, Decimal::from(1_000_000)), 1);
        assert_eq!(pixels(Decimal::ZERO, Decimal::ONE), 0);
    }

    #[test]
    fn text_from_outside_is_escaped() {
        let words = Words { title: "<script>&\"", exported: "a", imported: "b" };
        let svg = svg(&[], "US<D", words);
        assert!(svg.contains("&lt;script&gt;&amp;&quot;") && svg.contains("US&lt;D"), "{svg}");
    }
}
