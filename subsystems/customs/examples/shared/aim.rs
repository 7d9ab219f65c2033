//! Says what was seen beside what was aimed at, and how busy the machine was meanwhile.

use std::fs;

/// A figure and the aim for it.
pub(crate) struct Aim {
    /// What was measured.
    pub(crate) what: &'static str,
    /// What was seen.
    pub(crate) seen: f64,
    /// The least that is wanted, or the most where `is_most` says so.
    pub(crate) wanted: f64,
    /// Whether the aim is not to be passed.
    pub(crate) is_most: bool,
    /// Of both figures.
    pub(crate) unit: &'static str,
}

impl Aim {
    /// Prints the line.
    pub(crate) fn tell(&self) {
        let Self { what, seen, wanted, is_most, unit } = self;
        let (sign, is_met) =
            if *is_most { ("≤", seen <= wanted) } else { ("≥", seen >= wanted) };
        let verdict = if is_met { "met" } else { "NOT met" };
        let load = load_average();
        println!(
            "AIM {what}: {seen:.1} {unit}, aim {sign} {wanted} {unit}: {verdict} (load {load})"
        );
    }
}

/// Returns how many tasks wanted a processor, on average over one minute; Linux.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}
