//! What of a failed step's log is shown: what each test program says of its failures, and the end.
//!
//! Cargo runs every test program even after one failed, so a failure may stand thousands of lines
//! before the end of the log.

/// Lines of failures that are shown.
const FAILURE_LINES_MAX: usize = 400;
/// Lines of the end that are shown.
const END_LINES: usize = 40;

/// A line that is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The line.
    pub(super) text: &'a str,
    /// Whether it stands for lines that are left out.
    pub(super) is_gap: bool,
}

/// Returns the lines that tell of failures, up to a bound, and the last ones.
pub(super) fn of(text: &str) -> Vec<Line<'_>> {
    let lines: Vec<_> = text.lines().collect();
    let end = lines.len().saturating_sub(END_LINES);
    let mut is_failure = false;
    let mut left = FAILURE_LINES_MAX;
    let mut shown = Vec::new();
    let mut last = None;
    for (place, text) in lines.into_iter().enumerate() {
        // What libtest prints of failed tests stands between these two lines.
        is_failure |= text == "failures:";
        let is_shown = place >= end || is_failure && left > 0;
        if is_shown {
            if place > 0 && last != place.checked_sub(1) {
                shown.push(Line { text: "...", is_gap: true });
            }
            left -= usize::from(place < end);
            last = Some(place);
            shown.push(Line { text, is_gap: false });
        }
        is_failure &= !text.starts_with("test result:");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<&str> {
        of(text).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn failures_far_from_the_end_are_shown() {
        let quiet = "test quiet ... ok\n".repeat(500);
        let failure = "failures:\n\n---- tried stdout ----\npanicked\n\nfailures:\n    tried\n\n\
                       test result: FAILED. 3 passed; 1 failed\n";
        let text = format!("{quiet}{failure}{quiet}");
        let told = shown(&text);
        assert_eq!(told.len(), 2 + failure.lines().count() + END_LINES);
        assert_eq!((told[0], told[1], told[4]), ("...", "failures:", "panicked"));
        assert_eq!(told[1 + failure.lines().count()], "...");
    }

    #[test]
    fn a_short_log_is_shown_whole_and_a_long_failure_is_bounded() {
        let short = "one\nfailures:\ntwo";
        assert_eq!(shown(short), ["one", "failures:", "two"]);
        assert_eq!(shown(""), [""; 0]);
        let endless = format!("failures:\n{}", "told\n".repeat(5_000));
        assert_eq!(shown(&endless).len(), FAILURE_LINES_MAX + 1 + END_LINES);
    }
}
