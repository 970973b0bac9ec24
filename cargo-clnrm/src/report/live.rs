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
                // The end of the run tells the rest, once for all tests that need it.
                let error = change.error.as_deref().unwrap_or("it broke");
                let error = error.lines().next().unwrap_or_default();
                format!("{} {start} {service}: {error}\n", column(BAD, "Failed"))
            }
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
mod tests {
    use anstream::adapter::strip_str;

    use super::super::event::Status;
    use super::super::sample;
    use super::*;

    fn lines(numbering: Numbering, events: &[Envelope]) -> String {
        let mut live = Live::new(numbering);
        events.iter().map(|event| live.lines(event)).collect()
    }

    fn plain(numbering: Numbering, events: &[Envelope]) -> String {
        strip_str(&lines(numbering, events)).to_string()
    }

    #[test]
    fn what_goes_with_the_run_is_told_while_it_is_there() {
        let mut attempt = sample::failed_with_everything();
        let told = |attempt: &Attempt| {
            let event = RunEvent::TestFinished(attempt.clone());
            plain(Numbering::Off, &[sample::at(1, event)])
        };
        assert!(
            !told(&attempt).contains("kept"),
            "its end is not that of the run"
        );
        attempt.kept[0].until = Until::RunEnds;
        insta::assert_snapshot!(told(&attempt), @"
                FAIL [   0.100s] shop::it orders::create
                     kept while the run lasts: postgres at postgres://clnrm:***@127.0.0.1:4711/orders_1
                     with passwords: /tmp/clnrm-3c4cbe2c9a53/connect
        ");
    }

    fn interrupted(times: u32, running: usize) -> Envelope {
        let signal = "SIGINT".to_owned();
        sample::at(
            1,
            RunEvent::Interrupted {
                signal,
                times,
                running,
            },
        )
    }

    #[test]
    fn ctrl_z_is_told_before_and_after() {
        let events = [
            sample::at(1, RunEvent::Frozen { running: 2 }),
            sample::at(2, RunEvent::Thawed { running: 0 }),
        ];
        insta::assert_snapshot!(plain(Numbering::Off, &events), @"
              Frozen by SIGTSTP: 2 tests still running
              Thawed by SIGCONT
        ");
    }

    #[test]
    fn a_run_is_told_line_by_line() {
        insta::assert_snapshot!(plain(Numbering::On, &sample::run()), @"
        warning: unused variable: `x`
             Service postgres on process: no engine answers at unix:///nonexistent
             Service redis on process: no engine answers at unix:///nonexistent
             Service mail on process: no engine answers at unix:///nonexistent
        ────────────
           clnrm run ID 3c4cbe2c-9a53-4a8b-b5f6-0f9a8f0b7a61 with profile: default
            Starting 9 tests across 2 binaries (1 test skipped)
              Pulled [   0.460s] redis:7
              Failed [   0.030s] mail: it ended with code 1
               Ready [   1.690s] postgres
                PASS [   0.100s] (1/9) shop::it orders::list
                FAIL [   0.100s] (2/9) shop::it orders::create
          TRY 1 FAIL [   0.100s] (───) shop::it carts::flaky
          TRY 2 PASS [   0.100s] (3/9) shop::it carts::flaky
          TRY 1 ABRT [   0.100s] (───) shop::it carts::never
          TRY 2 SEGV [   0.100s] (4/9) shop::it carts::never
                SLOW [>  1.000s] (───) shop::it carts::leaks
                LEAK [   0.100s] (5/9) shop::it carts::leaks
                SLOW [>  1.000s] (───) shop::it carts::hangs
         TERMINATING [>  2.000s] (───) shop::it carts::hangs
             TIMEOUT [   0.100s] (6/9) shop::it carts::hangs
          UNFINISHED [   0.100s] (7/9) shop::it carts::exits
          NO SERVICE [   0.100s] (8/9) shop::it mails
          Cancelling due to test failure: 1 test still running
                LEAK container 4f1c of redis, owned by shop::it orders::list: now removed
        warning: postgres 17 stands in for 15
              `.require_version()` makes this an error
        ");
    }

    #[test]
    fn beside_a_progress_line_tests_have_no_numbers() {
        let events = [
            sample::at(0, sample::run_started(12)),
            sample::at(1, sample::finished("a::b", Status::Pass)),
        ];
        insta::assert_snapshot!(plain(Numbering::Off, &events), @"
        ────────────
           clnrm run ID 3c4cbe2c-9a53-4a8b-b5f6-0f9a8f0b7a61 with profile: default
            Starting 12 tests across 2 binaries (1 test skipped)
                PASS [   0.100s] shop::it a::b
        ");
    }

    #[test]
    fn numbers_are_as_wide_as_the_last() {
        let events = [
            sample::at(0, sample::run_started(120)),
            sample::at(1, sample::finished("a", Status::Pass)),
        ];
        insta::assert_snapshot!(plain(Numbering::On, &events), @"
        ────────────
           clnrm run ID 3c4cbe2c-9a53-4a8b-b5f6-0f9a8f0b7a61 with profile: default
            Starting 120 tests across 2 binaries (1 test skipped)
                PASS [   0.100s] (  1/120) shop::it a
        ");
    }

    #[test]
    fn every_signal_says_what_the_next_will_do() {
        let events = [interrupted(1, 3), interrupted(2, 1), interrupted(3, 0)];
        insta::assert_snapshot!(plain(Numbering::On, &events), @"
        Cancelling due to SIGINT: 3 tests still running (again to kill them and to remove services by force)
           Killing due to the second SIGINT: 1 test still running (again to leave at once)
           Leaving due to the third SIGINT; the keeper removes what is left
        ");
    }

    #[test]
    fn words_and_names_have_colours() {
        let events = [
            sample::at(0, sample::run_started(2)),
            sample::at(1, sample::finished("a::b", Status::Pass)),
            sample::at(1, sample::finished("c", Status::Fail { code: 101 })),
            sample::at(1, sample::finished("d", Status::Leak)),
        ];
        let text = lines(Numbering::On, &events).replace('\x1b', "␛");
        insta::assert_snapshot!(text, @"
        ────────────
        ␛[1m␛[32m   clnrm run␛[0m ID 3c4cbe2c-9a53-4a8b-b5f6-0f9a8f0b7a61 with profile: default
        ␛[1m␛[32m    Starting␛[0m ␛[1m2␛[0m tests across ␛[1m2␛[0m binaries (␛[1m1␛[0m test skipped)
        ␛[1m␛[32m        PASS␛[0m [   0.100s] (1/2) ␛[1m␛[35mshop::it␛[0m ␛[36ma::␛[0m␛[1m␛[34mb␛[0m
        ␛[1m␛[31m        FAIL␛[0m [   0.100s] (2/2) ␛[1m␛[35mshop::it␛[0m ␛[1m␛[34mc␛[0m
        ␛[1m␛[33m        LEAK␛[0m [   0.100s] (3/2) ␛[1m␛[35mshop::it␛[0m ␛[1m␛[34md␛[0m
        ");
    }

    #[test]
    fn a_leak_that_stays_says_what_removes_it() {
        let leaked = Leaked {
            kind: super::super::event::ResourceKind::Process,
            id: "4711".to_owned(),
            service: None,
            test: None,
            removed: false,
        };
        let events = [sample::at(1, RunEvent::Leak(leaked))];
        insta::assert_snapshot!(plain(Numbering::On, &events), @"        LEAK process 4711: still there (hint: `cargo clnrm clean` removes what no run owns)");
    }

    #[test]
    fn a_pull_that_failed_says_why() {
        let events = [sample::at(
            1,
            RunEvent::PullFinished {
                image: "postgres:15".to_owned(),
                elapsed: sample::ms(30),
                error: Some("no route to the registry\nthe mirror is not set".to_owned()),
            },
        )];
        insta::assert_snapshot!(plain(Numbering::On, &events), @"
        Not pulled [   0.030s] postgres:15: no route to the registry
            the mirror is not set
        ");
    }

    #[test]
    fn only_instances_of_the_run_are_worth_a_line() {
        let events = [
            sample::at(0, sample::planned("redis", Scope::Test)),
            sample::at(0, sample::planned("postgres", Scope::Run)),
            sample::at(1, sample::ready("redis", "redis-1", 1, 2)),
            sample::at(1, sample::ready("postgres", "postgres-1", 1, 2)),
        ];
        insta::assert_snapshot!(plain(Numbering::On, &events), @"
        Service redis on process: no engine answers at unix:///nonexistent
        Service postgres on process: no engine answers at unix:///nonexistent
          Ready [   0.003s] postgres
        ");
    }
}
