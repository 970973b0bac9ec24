//! The end of a run: how its tests ended, which of them failed, and what is known of each failure.
//!
//! Pure: it gathers failures from the events and turns them into text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use anstyle::Style;

use super::event::{
    Again, Attempt, Counts, InstanceState, Kept, NotRun, RunEvent, ServiceUse, Status, TestId,
    Until,
};
use super::live::attempt_word;
use super::style::{self, BAD, DIM, GOOD, ODD, RULE, column, count, paint, taken, tests};
use crate::filter::{Expr, Matcher, Named, Set};

/// Gathers what the end of the run has to say.
#[derive(Debug, Default)]
pub struct Summary {
    /// Tests that failed, and those that passed after a failure.
    remarkable: BTreeMap<TestId, Attempt>,
    /// Services that could not start, by name, and why: the first time of each.
    broken: BTreeMap<String, String>,
    /// Services that ended before anybody stopped them, likewise.
    exited: BTreeMap<String, String>,
    /// Whether each thing that was left behind could be removed.
    leaks: Vec<bool>,
    /// What a test of this run is run again with.
    again: Again,
}

impl Summary {
    /// Takes note of an event.
    pub fn observe(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { again, .. } => self.again = again.clone(),
            RunEvent::TestFinished(attempt)
                if attempt.is_flaky() || !attempt.status.is_success() =>
            {
                let test = attempt.test.clone();
                self.remarkable.insert(test, attempt.clone());
            }
            RunEvent::ServiceState(change) if change.state == InstanceState::Failed => {
                let error = change.error.clone().unwrap_or_default();
                self.broken.entry(change.service.clone()).or_insert(error);
            }
            RunEvent::ServiceState(change) if change.state == InstanceState::Stopped => {
                if let Some(error) = change.error.clone() {
                    self.exited.entry(change.service.clone()).or_insert(error);
                }
            }
            RunEvent::Leak(leaked) => self.leaks.push(leaked.removed),
            _ => {}
        }
    }

    /// What is known of each failed test, in the order of their names, and of
    /// each service that did not start or that ended by itself, once for all
    /// tests that need it; nothing if all passed.
    #[must_use]
    pub fn failures(&self) -> String {
        let mut failures = String::new();
        let mut unserved: BTreeMap<(&str, &str), Vec<&TestId>> = BTreeMap::new();
        for attempt in self.failed() {
            match &attempt.status {
                Status::NoService { service, error } => {
                    let tests = unserved.entry((service, error)).or_default();
                    tests.push(&attempt.test);
                }
                _ => failures += &failure(attempt, &self.again),
            }
        }
        let told = |service: &String| unserved.keys().any(|(name, _)| name == service);
        let untold = self.broken.iter().filter(|(service, _)| !told(service));
        let untold = untold.map(|(service, error)| no_service(service, error, &[]));
        let exited = self.exited.iter();
        let exited =
            exited.map(|(service, error)| of_service(ODD, "EXITED", service, error) + "\n");
        let unserved = unserved.iter();
        let unserved = unserved.map(|((service, error), tests)| no_service(service, error, tests));
        failures.extend(unserved);
        failures.extend(untold);
        failures.extend(exited);
        if failures.is_empty() {
            failures
        } else {
            format!("{RULE}{failures}")
        }
    }

    /// How the tests ended, and the list of those that failed or were flaky.
    #[must_use]
    pub fn text(&self, counts: &Counts, elapsed: Duration) -> String {
        let incomplete = counts.unsuccessful() > 0 || counts.finished() < counts.tests;
        let style = if incomplete || !self.leaks.is_empty() {
            BAD
        } else {
            GOOD
        };
        let line = format!(
            "{} {} {}\n",
            column(style, "Summary"),
            taken(elapsed),
            sentence(counts)
        );
        let list = self.remarkable.values();
        let list: String = list.map(|it| list_item(it, &self.again)).collect();
        format!(
            "{RULE}{line}{}{}{}{list}",
            self.leaked(),
            self.kept(),
            not_run(&counts.not_run)
        )
    }

    fn leaked(&self) -> String {
        if self.leaks.is_empty() {
            return String::new();
        }
        let number = count(self.leaks.len(), "resource", "resources");
        let still = self.leaks.iter().filter(|removed| !**removed).count();
        format!(
            "{} {number} outlived the run, of which {} could not be removed\n",
            column(BAD, "LEAK"),
            paint(style::BOLD, still),
        )
    }

    /// What stays, and how to get rid of it.
    fn kept(&self) -> String {
        let stays = |attempt: &&Attempt| attempt.kept.iter().any(|it| it.until == Until::Cleaned);
        match self.failed().filter(stays).count() {
            0 => String::new(),
            number => format!(
                "{} what {} used stays (hint: `cargo clnrm clean` removes it)\n",
                column(ODD, "Kept"),
                count(number, "failed test", "failed tests"),
            ),
        }
    }

    fn failed(&self) -> impl Iterator<Item = &Attempt> {
        self.remarkable
            .values()
            .filter(|attempt| !attempt.status.is_success())
    }
}

/// The command that runs this test alone, as it ran in its run.
#[must_use]
pub fn rerun_command(test: &TestId, again: &Again) -> String {
    let equal = |set, name: &str| {
        Expr::Named(Named {
            set,
            matcher: Matcher::Equal(name.to_owned()),
            span: 0..0,
        })
    };
    let expr = Expr::And(vec![
        equal(Set::BinaryId, &test.binary_id),
        equal(Set::Test, &test.name),
    ]);
    let expr = expr.to_string();
    let mut words = vec!["cargo", "clnrm", "test"];
    words.extend(again.flags.iter().map(String::as_str));
    words.extend(["-E", &expr]);
    words.extend((!again.args.is_empty()).then_some("--"));
    words.extend(again.args.iter().map(String::as_str));
    let words: Vec<_> = words.into_iter().map(for_shell).collect();
    words.join(" ")
}

/// A word as a shell takes it; one with a NUL, which no argument has, as it is.
fn for_shell(word: &str) -> Cow<'_, str> {
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

fn sentence(counts: &Counts) -> String {
    let finished = counts.finished();
    let ran = if finished == counts.tests {
        tests(finished)
    } else {
        let of = format!("{finished}/{}", counts.tests);
        format!("{} tests", paint(style::BOLD, of))
    };
    let remarks = [
        (counts.slow, "slow"),
        (counts.flaky, "flaky"),
        (counts.leaky, "leaky"),
    ];
    let remarks: Vec<_> = remarks
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {}", paint(style::BOLD, number), paint(ODD, word)))
        .collect();
    let remarks = match remarks.as_slice() {
        [] => String::new(),
        remarks => format!(" ({})", remarks.join(", ")),
    };
    let failures = [
        (counts.failed, "failed"),
        (counts.timed_out, "timed out"),
        (counts.no_service, "without a service"),
    ];
    let failures: String = failures
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!(", {} {}", paint(style::BOLD, number), paint(BAD, word)))
        .collect();
    format!(
        "{ran} run: {} {}{remarks}{failures}, {} {}",
        paint(style::BOLD, counts.passed),
        paint(GOOD, "passed"),
        paint(style::BOLD, counts.skipped),
        paint(ODD, "skipped"),
    )
}

fn not_run(not_run: &NotRun) -> String {
    let parts = [
        (not_run.plain_tests, "plain test", "plain tests"),
        (
            not_run.harnessless,
            "target without a harness",
            "targets without a harness",
        ),
        (
            not_run.doctests,
            "library with doctests",
            "libraries with doctests",
        ),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, many)| count(number, one, many))
        .collect();
    if parts.is_empty() {
        return String::new();
    }
    let hint = match not_run.plain_tests {
        0 => "`cargo test` runs them",
        _ => "`--all` runs the plain tests, `cargo test` all",
    };
    format!(
        "{} {} (hint: {hint})\n",
        column(ODD, "Not run"),
        parts.join(", ")
    )
}

fn list_item(attempt: &Attempt, again: &Again) -> String {
    let test = style::test(&attempt.test);
    let time = taken(attempt.phases.active());
    if attempt.status.is_success() {
        let word = format!("FLAKY {}/{}", attempt.attempt, attempt.attempts);
        return format!("{} {time} {test}\n", column(ODD, &word));
    }
    let word = column(BAD, &attempt_word(attempt, true));
    let rerun = paint(DIM, rerun_command(&attempt.test, again));
    format!("{word} {time} {test}\n{:13}{rerun}\n", "")
}

fn failure(attempt: &Attempt, again: &Again) -> String {
    let word = column(BAD, &attempt_word(attempt, true));
    let time = taken(attempt.phases.active());
    let mut text = format!("{word} {time} {}\n", style::test(&attempt.test));
    text += &style::indented(&attempt.status.sentence(), "             ");
    text += &section("stdout", &attempt.output.stdout);
    text += &section("stderr", &attempt.output.stderr);
    for service in &attempt.services {
        text += &service_log(service);
    }
    text += &kept(&attempt.kept);
    text += &section("run it alone", &rerun_command(&attempt.test, again));
    text + "\n"
}

/// A service that did not start, and the tests that did not run for want of it.
fn no_service(service: &str, error: &str, tests: &[&TestId]) -> String {
    let mut text = of_service(BAD, "NO SERVICE", service, error);
    for test in tests {
        text += &format!("      needed by {}\n", style::test(test));
    }
    text + "\n"
}

fn of_service(style: Style, word: &str, service: &str, error: &str) -> String {
    let service = match service {
        "" => String::new(),
        service => format!("{}: ", paint(style::BOLD, service)),
    };
    style::with_details(&format!("{} {service}", column(style, word)), error)
}

fn section(title: &str, text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let title = format!("  {} ───\n\n", paint(BAD, title));
    // What a test wrote may end in the middle of a colour.
    let reset = match text.contains('\x1b') {
        true => anstyle::Reset.to_string(),
        false => String::new(),
    };
    format!("\n{title}{}{reset}", style::indented(text, "    "))
}

fn service_log(service: &ServiceUse) -> String {
    let lines = service
        .log
        .iter()
        .map(|line| format!("+{:.3}s {}", line.after.as_secs_f64(), line.text));
    let unread = service.unread.iter().map(|why| format!("not read: {why}"));
    let lines: Vec<_> = lines.chain(unread).collect();
    let title = format!("log of {} ({})", service.service, service.instance);
    section(&title, &lines.join("\n"))
}

fn kept(kept: &[Kept]) -> String {
    let kept = kept.iter().filter(|kept| kept.until == Until::Cleaned);
    let mut books: Vec<_> = kept
        .clone()
        .filter_map(|it| it.passwords.as_ref())
        .collect();
    books.dedup();
    let lines = kept.flat_map(|kept| {
        let what = match &kept.slice {
            Some(slice) => format!("{} {slice} of {}:", kept.service, kept.instance),
            None => format!("{} {}:", kept.service, kept.instance),
        };
        std::iter::once(what).chain(kept.connect.iter().map(|how| format!("  {how}")))
    });
    let books = books.into_iter();
    let books = books.map(|book| format!("with passwords: {}", book.display()));
    let lines: Vec<_> = lines.chain(books).collect();
    section("kept for you", &lines.join("\n"))
}

#[cfg(test)]
mod tests;
