//! The one command of CI: runs the steps of a table and counts what passed.
//!
//! A step is a row of [`steps::STEPS`]: a command line or a chore, what it needs from the machine,
//! and where it runs. The first act is to see that the needs are there (`needs.rs`). Output goes to
//! a log per step; of a failed one the failures and the end are shown. The closing line is `N
//! passed, N failed, N skipped`, alone on its line: tests of cargo count one by one, any other step
//! counts as one.
//!
//! Invariants: what is not run is counted as skipped and named, never silently green; a step has
//! a bound on its time.
//!
//! Not here: what the rules and the tests say (`crate::tidy`, the crates).

mod counts;
mod excerpt;
mod needs;
mod steps;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::workspace::{self, Workspace};
use crate::{generate, tidy};
use counts::Counts;
pub(crate) use steps::table;
use steps::{Act, STEPS, Step};

/// Longest time of one step; a hanging test must not eat the whole run.
const STEP_MINUTES_MAX: u64 = 45;
/// How often a running step is looked at.
const POLL: Duration = Duration::from_millis(50);
/// The folder of test data that does not belong to the project.
const DATA: &str = "KARVAN_TEST_DATA";

#[derive(Args)]
pub(crate) struct Options {
    /// Run only this step; may be given several times
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Print the steps instead of running them
    #[arg(long)]
    list: bool,
    /// Run the steps after a failed one too
    #[arg(long)]
    keep_going: bool,
}

/// What one step came to.
struct Done {
    name: &'static str,
    counts: Counts,
    seconds: f64,
    /// Why the step was not run, if it was not.
    not_run: Option<String>,
}

/// Runs the chosen steps; returns whether none failed.
pub(crate) fn run(options: &Options) -> Result<bool> {
    if options.list {
        print!("{}", steps::table());
        return Ok(true);
    }
    let chosen = choose(&options.only)?;
    let logs = workspace::output_folder()?;
    fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
    let missing = needs::provide(&chosen);
    let tests = chosen.iter().any(|step| step.name == "tests");
    if tests && std::env::var_os(DATA).is_none() {
        println!("!! {DATA} is not set: tests that need public test data will be skipped");
    }
    let root = workspace::root()?;
    let mut all = Vec::new();
    let mut stop = false;
    for (index, step) in chosen.iter().enumerate() {
        let lacking = step.needs.iter().find(|need| missing.contains(&need.name));
        let done = if let Some(need) = lacking {
            Done::not_run(step, format!("{} is missing", need.name))
        } else if stop {
            Done::not_run(step, "an earlier step failed".to_owned())
        } else {
            println!("[{}/{}] {}: {}", index + 1, chosen.len(), step.name, step.about);
            perform(step, &root, &logs)?
        };
        println!("{}", done.progress());
        stop |= done.counts.failed > 0 && !options.keep_going;
        all.push(done);
    }
    Ok(close(&all))
}

fn choose(only: &[String]) -> Result<Vec<&'static Step>> {
    if only.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let find = |name: &String| {
        let step = STEPS.iter().find(|step| step.name == name);
        step.with_context(|| format!("no step `{name}`; `cargo xtask test --list` shows them"))
    };
    only.iter().map(find).collect()
}

/// Runs one step with its output in a log.
fn perform(step: &'static Step, root: &Path, logs: &Path) -> Result<Done> {
    let log = logs.join(format!("{}.log", step.name));
    let (clock, started) = clock();
    let passed = match step.act {
        Act::Run(lines) => {
            let place = Place::new(root, &log)?;
            if !place.run_all(step, step.fetch)? {
                let why = format!("fetching what it needs failed, see {}", log.display());
                return Ok(Done::not_run(step, why));
            }
            place.run_all(step, lines)?
        }
        Act::Tidy => {
            let outcome = tidy::check(&Workspace::load()?);
            fs::write(&log, outcome.text())?;
            outcome.is_clean()
        }
        Act::Fresh => {
            let stale = generate::stale()?;
            fs::write(&log, generate::report(&stale))?;
            stale.is_empty()
        }
    };
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    if !passed {
        show(step.name, &text, &log);
    }
    let counts = Counts::of(&text, passed);
    Ok(Done { name: step.name, counts, seconds: clock(started), not_run: None })
}

/// Returns a function from an instant to the seconds since, and the instant now.
fn clock() -> (fn(Instant) -> f64, Instant) {
    #[expect(clippy::disallowed_methods, reason = "reports how long a chore took, nothing else")]
    let now = Instant::now();
    (|started| started.elapsed().as_secs_f64(), now)
}

/// Where the commands of one step run and write.
struct Place<'a> {
    root: &'a Path,
    log: File,
    /// The empty folder that `{out}` stands for.
    out: String,
    /// The folder that `{tools}` stands for.
    tools: String,
}

impl<'a> Place<'a> {
    fn new(root: &'a Path, log: &Path) -> Result<Self> {
        let out = log.with_extension("out");
        let log = File::create(log).with_context(|| log.display().to_string())?;
        if out.exists() {
            fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
        }
        fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
        let tools = out.with_file_name("tools");
        Ok(Self { root, log, out: out.display().to_string(), tools: tools.display().to_string() })
    }

    /// Runs command lines until one fails.
    fn run_all(&self, step: &Step, lines: &[&str]) -> Result<bool> {
        for line in lines {
            let fill =
                |word: &str| word.replace("{out}", &self.out).replace("{tools}", &self.tools);
            let words = line.split_whitespace().map(fill);
            if !run_command(step, &words.collect::<Vec<_>>(), self.root, &self.log)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn run_command(step: &Step, argv: &[String], root: &Path, output: &File) -> Result<bool> {
    let [program, arguments @ ..] = argv else { bail!("step {} has an empty line", step.name) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root.join(step.folder));
    // A log is for reading, so no colours.
    command.envs([("CARGO_TERM_COLOR", "never"), ("NO_COLOR", "1"), ("TERM", "dumb")]);
    command.envs(step.env.iter().copied());
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    for (name, _) in std::env::vars_os() {
        // What cargo tells this program about itself must not leak into the cargo below.
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name.as_ref());
        }
    }
    let child = command.spawn().with_context(|| format!("starting `{program}`"))?;
    let ended = wait(child)?;
    if ended.is_none() {
        println!("!! {} was ended after {STEP_MINUTES_MAX} minutes", step.name);
    }
    Ok(ended.is_some_and(|status| status.success()))
}

/// Waits for a process, or ends it when its time is over and returns `None`.
fn wait(mut child: Child) -> Result<Option<ExitStatus>> {
    let (elapsed, started) = clock();
    let limit = Duration::from_mins(STEP_MINUTES_MAX).as_secs_f64();
    while elapsed(started) < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        #[expect(clippy::disallowed_methods, reason = "std has no wait with a time limit")]
        std::thread::sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn show(name: &str, text: &str, log: &Path) {
    let shown = excerpt::of(text);
    let hidden = text.lines().count() - shown.iter().filter(|line| !line.is_gap).count();
    println!("--- {name} failed; {hidden} lines more are in {}", log.display());
    for line in shown {
        println!("    {}", line.text);
    }
    println!("---");
}

impl Done {
    fn not_run(step: &Step, why: String) -> Self {
        let counts = Counts { skipped: 1, ..Counts::default() };
        Self { name: step.name, counts, seconds: 0.0, not_run: Some(why) }
    }

    fn word(&self) -> &'static str {
        match (self.counts.failed, &self.not_run) {
            (0, None) => "ok",
            (0, Some(_)) => "SKIPPED",
            _ => "FAILED",
        }
    }

    fn progress(&self) -> String {
        match &self.not_run {
            Some(why) => format!("!! {} is skipped: {why}", self.name),
            None => format!("      {} {} in {:.1} s", self.name, self.word(), self.seconds),
        }
    }
}

/// Prints the table and the closing line; returns whether nothing failed.
fn close(all: &[Done]) -> bool {
    let mut total = Counts::default();
    println!(
        "\n{:<16} {:<8} {:>7} {:>7} {:>8} {:>9}",
        "step", "", "passed", "failed", "skipped", "s"
    );
    for done in all {
        let Counts { passed, failed, skipped, .. } = done.counts;
        let (name, word, seconds) = (done.name, done.word(), done.seconds);
        println!("{name:<16} {word:<8} {passed:>7} {failed:>7} {skipped:>8} {seconds:>9.1}");
        total.add(&done.counts);
    }
    for done in all {
        if let Some(why) = &done.not_run {
            println!("!! skipped {}: {why}", done.name);
        }
    }
    for reason in &total.reasons {
        println!("!! skipped {reason}");
    }
    println!("\n{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    total.failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(fetch: &'static [&'static str], act: Act) -> Step {
        Step {
            name: "tried",
            about: "a test",
            fetch,
            act,
            needs: &[],
            env: &[("TOLD", "yes")],
            folder: "",
        }
    }

    fn perform_here(fetch: &'static str, lines: &'static [&'static str]) -> (Done, String) {
        // Steps live as long as the program, as those of the table do.
        let fetch = Box::leak(Box::new([fetch]));
        let step: &'static Step = Box::leak(Box::new(step(fetch, Act::Run(lines))));
        let id = fetch.concat().len() + 100 * lines.concat().len();
        let logs = std::env::temp_dir().join(format!("xtask-{}-{id}", std::process::id()));
        fs::create_dir_all(&logs).unwrap();
        let done = perform(step, Path::new("."), &logs).unwrap();
        let log = fs::read_to_string(logs.join("tried.log")).unwrap();
        fs::remove_dir_all(&logs).unwrap();
        (done, log)
    }

    #[track_caller]
    fn check(lines: &'static [&'static str], passed: bool, told: &str, not_told: &str) {
        let (done, log) = perform_here("touch {out}/fetched", lines);
        assert_eq!((done.counts.passed, done.counts.failed), (passed.into(), (!passed).into()));
        assert!(log.contains(told) && !log.contains(not_told), "{log}");
    }

    #[test]
    fn a_step_is_judged_by_its_exit_and_its_output_is_kept() {
        check(&["env"], true, "TOLD=yes\n", "CARGO_PKG_NAME");
        check(&["ls no-such-file"], false, "no-such-file", "\0");
        // Without an end of input this would wait for ever.
        check(&["cat", "echo ended"], true, "ended\n", "\0");
        check(&["touch {out}/made", "ls {out}"], true, "fetched\nmade\n", "\0");
        check(&["ls {out}", "echo first", "false", "echo last"], false, "first\n", "last");
    }

    #[test]
    fn what_cannot_be_fetched_is_skipped() {
        let (done, log) = perform_here("ls no-such-file", &["echo ran"]);
        assert_eq!((done.word(), done.counts.skipped), ("SKIPPED", 1));
        assert!(log.contains("no-such-file") && !log.contains("ran"), "{log}");
    }

    #[test]
    fn an_unknown_step_is_refused() {
        assert!(choose(&["nonesuch".to_owned()]).is_err());
        assert_eq!(choose(&["tidy".to_owned()]).unwrap().len(), 1);
        assert_eq!(choose(&[]).unwrap().len(), STEPS.len());
    }

    #[test]
    fn what_was_not_run_is_skipped_aloud() {
        let done = Done::not_run(&step(&[], Act::Tidy), "go is missing".to_owned());
        assert_eq!((done.word(), done.counts.skipped), ("SKIPPED", 1));
        assert!(done.progress().contains("go is missing"));
    }
}
