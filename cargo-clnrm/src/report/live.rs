//! The lines that a run writes while it goes on, in nextest's shape.
//!
//! Pure: events in, text with colours out. It neither knows where the text goes nor asks what time it is.

use std::collections::BTreeMap;
use std::time::Duration;

use anstyle::Style;

use super::event::{
    Attempt, Envelope, InstanceState, Leaked, Planned, RunEvent, Scope, ServiceChange, TestId,
    Until,
};
use super::style::{self, BAD, GOOD, ODD, RULE, column, count, paint, taken, taken_so_far, tests};

/// Turns events into lines.
#[derive(Debug)]
pub struct Live {
    numbering: Numbering,
    finished: usize,
    tests: usize,
    services: BTreeMap<String, Planned>,
}

/// Whether lines of finished tests have a number, `(3/20)`. Where a progress line says it, they need none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// They have.
    On,
    /// They have not.
    Off,
}

impl Live {
    /// A renderer that has seen nothing yet.
    #[must_use]
    pub fn new(numbering: Numbering) -> Self {
        Self {
            numbering,
            finished: 0,
            tests: 0,
            services: BTreeMap::new(),
        }
    }

    /// The lines that an event is worth, each with its line end; often none.
    pub fn lines(&mut self, envelope: &Envelope) -> String {
        match &envelope.event {
            RunEvent::BuildMessage { text, .. } => style::indented(text, ""),
            RunEvent::RunStarted {
                profile,
                tests,
                binaries,
                skipped,
                ..
            } => {
                self.tests = *tests;
                started(&envelope.run, profile, [*tests, *binaries, *skipped])
            }
            RunEvent::PullFinished {
                image,
                elapsed,
                error,
            } => pulled(image, *elapsed, error.as_deref()),
            RunEvent::ServicePlanned(planned) => self.planned(planned),
            RunEvent::ServiceState(change) => self.changed(change),
            RunEvent::TestSlow {
                test,
                attempt,
                elapsed,
                terminating,
            } => self.slow(test, *attempt, *elapsed, *terminating),
            RunEvent::TestAttempt(attempt) => self.attempted(attempt, false),
            RunEvent::TestFinished(attempt) => {
                self.finished += 1;
                self.attempted(attempt, true)
            }
            RunEvent::Leak(leaked) => leak(leaked),
            RunEvent::Cancelled { reason, running } => cancelled(reason, *running),
            RunEvent::Interrupted {
                signal,
                times,
                running,
            } => interrupted(signal, *times, *running),
            RunEvent::Frozen { running } => told("Frozen", "by SIGTSTP", *running),
            RunEvent::Thawed { running } => told("Thawed", "by SIGCONT", *running),
            RunEvent::Notice { level, text } => {
                style::with_details(&format!("{}: ", style::level(*level)), text)
            }
            RunEvent::BuildStarted { .. }
            | RunEvent::BuildProgress { .. }
            | RunEvent::BuildFinished { .. }
            | RunEvent::BinaryDiscovered { .. }
            | RunEvent::PullProgress { .. }
            | RunEvent::LeaseGranted { .. }
            | RunEvent::LeaseEnded { .. }
            | RunEvent::TestStarted { .. }
            | RunEvent::Timing(_)
            | RunEvent::RunFinished { .. } => String::new(),
        }
    }

    fn planned(&mut self, planned: &Planned) -> String {
        self.services.insert(planned.key.clone(), planned.clone());
        let Planned {
            service,
            backend,
            reason,
            ..
        } = planned;
        format!(
            "{} {} on {backend}: {reason}\n",
            column(GOOD, "Service"),
            paint(style::BOLD, service),
        )
    }

    /// Instances of a test come and go by the hundred, so only the run's own are worth a line; failures all are.
    fn changed(&self, change: &ServiceChange) -> String {
        let planned = self.services.get(&change.key);
        let times = &change.durations;
        let start = [times.pull, times.create, times.ready];
        let start = taken(start.into_iter().flatten().sum());
        let service = paint(style::BOLD, &change.service);
        match change.state {
            InstanceState::Ready if planned.is_some_and(|planned| planned.scope == Scope::Run) => {
                format!("{} {start} {service}\n", column(GOOD, "Ready"))
            }
            InstanceState::Failed => {
                let error = change.error.as_deref().unwrap_or("it broke");
                told_later(&column(BAD, "Failed"), &start, &service, error)
            }
            InstanceState::Stopped => change.error.as_deref().map_or_else(String::new, |error| {
                told_later(&column(ODD, "Exited"), &start, &service, error)
            }),
            _ => String::new(),
        }
    }

    fn slow(&self, test: &TestId, attempt: u32, elapsed: Duration, terminating: bool) -> String {
        let word = match (attempt, terminating) {
            (1, false) => "SLOW".to_owned(),
            (1, true) => "TERMINATING".to_owned(),
            (_, false) => format!("TRY {attempt} SLOW"),
            (_, true) => format!("TRY {attempt} TRMNTG"),
        };
        let time = taken_so_far(elapsed);
        self.line(ODD, &word, &time, test, false)
    }

    fn attempted(&self, attempt: &Attempt, last: bool) -> String {
        let word = attempt_word(attempt, last);
        let time = taken(attempt.phases.active());
        let style = style::of_status(&attempt.status);
        let line = self.line(style, &word, &time, &attempt.test, last);
        line + &kept_for_now(attempt)
    }

    fn line(&self, style: Style, word: &str, time: &str, test: &TestId, numbered: bool) -> String {
        let width = self.tests.to_string().len();
        let number = match (self.numbering, numbered) {
            (Numbering::Off, _) => String::new(),
            (Numbering::On, true) => format!("({:>width$}/{}) ", self.finished, self.tests),
            (Numbering::On, false) => format!("({}) ", "─".repeat(2 * width + 1)),
        };
        let (word, test) = (column(style, word), style::test(test));
        format!("{word} {time} {number}{test}\n")
    }
}

/// The end of the run tells the rest, once for all tests that need it.
fn told_later(word: &str, start: &str, service: &str, error: &str) -> String {
    let error = error.lines().next().unwrap_or_default();
    format!("{word} {start} {service}: {error}\n")
}

/// What can be looked at while the run goes on; the end of the run tells of the rest.
fn kept_for_now(attempt: &Attempt) -> String {
    let kept = attempt.kept.iter().filter(|it| it.until == Until::RunEnds);
    let mut text = String::new();
    let mut books = Vec::new();
    for kept in kept.filter(|it| !it.connect.is_empty()) {
        let (service, connect) = (&kept.service, kept.connect.join(" "));
        text += &format!(
            "{:13}kept while the run lasts: {service} at {connect}\n",
            ""
        );
        books.extend(kept.passwords.as_ref());
    }
    if let Some(book) = books.first() {
        text += &format!("{:13}with passwords: {}\n", "", book.display());
    }
    text
}

/// `PASS`, or `TRY 2 PASS` where there was more than one attempt.
pub(super) fn attempt_word(attempt: &Attempt, last: bool) -> String {
    if last && attempt.attempt == 1 {
        attempt.status.word()
    } else {
        format!("TRY {} {}", attempt.attempt, attempt.status.short_word())
    }
}

fn started(run: &str, profile: &str, [selected, binaries, skipped]: [usize; 3]) -> String {
    let skipped = match skipped {
        0 => String::new(),
        number => format!(" ({} skipped)", tests(number)),
    };
    format!(
        "{RULE}{} ID {run} with profile: {profile}\n{} {} across {}{skipped}\n",
        column(GOOD, "clnrm run"),
        column(GOOD, "Starting"),
        tests(selected),
        count(binaries, "binary", "binaries"),
    )
}

fn pulled(image: &str, elapsed: Duration, error: Option<&str>) -> String {
    let time = taken(elapsed);
    match error {
        None => format!("{} {time} {image}\n", column(GOOD, "Pulled")),
        Some(error) => {
            let first = format!("{} {time} {image}: ", column(BAD, "Not pulled"));
            style::with_details(&first, error)
        }
    }
}

fn leak(leaked: &Leaked) -> String {
    let service = leaked
        .service
        .as_ref()
        .map_or_else(String::new, |service| format!(" of {service}"));
    let test = leaked.test.as_ref().map_or_else(String::new, |test| {
        format!(", owned by {}", style::test(test))
    });
    let end = if leaked.removed {
        "now removed"
    } else {
        "still there (hint: `cargo clnrm clean` removes what no run owns)"
    };
    let (kind, id) = (leaked.kind.name(), &leaked.id);
    format!(
        "{} {kind} {id}{service}{test}: {end}\n",
        column(BAD, "LEAK")
    )
}

fn cancelled(reason: &str, running: usize) -> String {
    let running = still_running(running);
    format!("{} due to {reason}{running}\n", column(BAD, "Cancelling"))
}

fn interrupted(signal: &str, times: u32, running: usize) -> String {
    let still_running = still_running(running);
    match times {
        0 | 1 => format!(
            "{} due to {signal}{still_running} (again to kill them and to remove services by force)\n",
            column(BAD, "Cancelling"),
        ),
        2 => format!(
            "{} due to the second {signal}{still_running} (again to leave at once)\n",
            column(BAD, "Killing"),
        ),
        _ => format!(
            "{} due to the third {signal}; the keeper removes what is left\n",
            column(BAD, "Leaving"),
        ),
    }
}

fn told(word: &str, by: &str, running: usize) -> String {
    let running = still_running(running);
    format!("{} {by}{running}\n", column(ODD, word))
}

fn still_running(running: usize) -> String {
    match running {
        0 => String::new(),
        number => format!(": {} still running", tests(number)),
    }
}

#[cfg(test)]
mod tests;
