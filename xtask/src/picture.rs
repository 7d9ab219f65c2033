//! Draws the picture of the README: two nations, what travels between them, and who can check it.
//!
//! Boxes and arrows are data, so that a change of the design is a change of a row.

use std::fmt::Write as _;

/// Width and height of the picture, in pixels.
const SIZE: (u32, u32) = (960, 450);

struct Panel {
    x: u32,
    title: &'static str,
    subtitle: &'static str,
    colour: &'static str,
    /// Boxes from top to bottom: heading and text.
    boxes: [(&'static str, &'static str); 4],
}

/// The two nations, left and right.
const PANELS: [Panel; 2] = [
    Panel {
        x: 20,
        title: "Azerbaijan",
        subtitle: "customs · certificate issuer",
        colour: "#0b7a75",
        boxes: [
            ("Agency systems", "declare, certify, ask"),
            ("Node: outbox and inbox", "signed, durable before acknowledged"),
            ("Evidence log", "append-only Merkle tree, C2SP tiles"),
            ("Witness", "cosigns the other nation's log"),
        ],
    },
    Panel {
        x: 640,
        title: "Pakistan",
        subtitle: "customs · TDAP",
        colour: "#1d5b2f",
        boxes: [
            ("Agency systems", "claim, compare, decide"),
            ("Node: inbox and outbox", "each document handed over once"),
            ("Evidence log", "the same entries for the same acts"),
            ("Witness", "cosigns the other nation's log"),
        ],
    },
];

struct Flow {
    y: u32,
    text: &'static str,
    /// Whether it points left, right, or both ways.
    left: bool,
    right: bool,
}

/// What crosses the border, from top to bottom.
const FLOWS: [Flow; 4] = [
    Flow { y: 150, text: "certificate of origin, export declaration", left: false, right: true },
    Flow { y: 195, text: "relay receipt, handover receipt", left: true, right: false },
    Flow { y: 240, text: "decision on the importer's claim", left: true, right: false },
    Flow { y: 335, text: "checkpoints and cosignatures", left: true, right: true },
];

/// Returns the picture as SVG.
pub(crate) fn overview() -> String {
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" role=\"img\">\n\
         <title>Two nations' nodes exchange signed documents and cosign each other's logs</title>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto-start-reverse\">\
         <path d=\"M0 0 L8 4 L0 8 z\" fill=\"#444\"/></marker></defs>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for panel in &PANELS {
        draw_panel(&mut svg, panel);
    }
    for flow in &FLOWS {
        draw_flow(&mut svg, flow);
    }
    text(&mut svg, (480, 118), 13, "#666", "mutual TLS 1.3");
    let _ = writeln!(
        svg,
        "<path d=\"M170 400 V425 H790 V400\" fill=\"none\" stroke=\"#444\" \
         stroke-dasharray=\"4 3\"/>"
    );
    text(&mut svg, (480, 418), 14, "#222", "evidence bundle: anybody verifies it offline");
    text(&mut svg, (480, 442), 12, "#666", "karvan verify · Go · Python");
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(svg: &mut String, panel: &Panel) {
    let Panel { x, title, subtitle, colour, boxes } = panel;
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"20\" width=\"300\" height=\"380\" rx=\"10\" fill=\"#f7f7f5\" \
         stroke=\"{colour}\" stroke-width=\"2\"/>"
    );
    let middle = x + 150;
    text(svg, (middle, 50), 20, colour, title);
    text(svg, (middle, 72), 13, "#555", subtitle);
    for (y, (heading, words)) in (90..).step_by(76).zip(boxes) {
        let _ = writeln!(
            svg,
            "<rect x=\"{}\" y=\"{y}\" width=\"268\" height=\"62\" rx=\"6\" fill=\"#fff\" \
             stroke=\"#bbb\"/>",
            x + 16
        );
        text(svg, (middle, y + 27), 15, "#222", heading);
        text(svg, (middle, y + 47), 12, "#555", words);
    }
}

fn draw_flow(svg: &mut String, flow: &Flow) {
    let Flow { y, text: words, left, right } = flow;
    let tip = |wanted: bool, which: &str| {
        if wanted { format!(" marker-{which}=\"url(#tip)\"") } else { String::new() }
    };
    let _ = writeln!(
        svg,
        "<line x1=\"326\" y1=\"{y}\" x2=\"634\" y2=\"{y}\" stroke=\"#444\" \
         stroke-width=\"1.5\"{}{}/>",
        tip(*left, "start"),
        tip(*right, "end")
    );
    text(svg, (480, y - 8), 13, "#222", words);
}

fn text(svg: &mut String, (x, y): (u32, u32), size: u32, colour: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{colour}\" \
         text-anchor=\"middle\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_drawn() {
        let svg = overview();
        let rows = PANELS.iter().flat_map(|panel| panel.boxes).map(|(heading, _)| heading);
        for words in rows.chain(FLOWS.iter().map(|flow| flow.text)) {
            assert!(svg.contains(words), "{words}");
        }
        assert_eq!(svg.matches("<rect").count(), 1 + 2 * 5);
    }
}
