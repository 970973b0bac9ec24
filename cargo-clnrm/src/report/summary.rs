//! The end of a run: how its tests ended, which of them failed, and what is known of each failure.
//!
//! Pure: it gathers failures from the events and turns them into text.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{
    Attempt, Counts, InstanceState, Kept, NotRun, RunEvent, ServiceUse, Status, TestId, Until,
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
    /// Whether each thing that was left behind could be removed.
    leaks: Vec<bool>,
}

impl Summary {
    /// Takes note of an event.
    pub fn observe(&mut self, event: &RunEvent) {
        match event {
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
            RunEvent::Leak(leaked) => self.leaks.push(leaked.removed),
            _ => {}
        }
    }

    /// What is known of each failed test, in the order of their names, and of
    /// each service that did not start, once for all tests that need it;
    /// nothing if all passed.
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
                _ => failures += &failure(attempt),
            }
        }
        let told = |service: &String| unserved.keys().any(|(name, _)| name == service);
        let untold = self.broken.iter().filter(|(service, _)| !told(service));
        let untold = untold.map(|(service, error)| no_service(service, error, &[]));
        let unserved = unserved.iter();
        let unserved = unserved.map(|((service, error), tests)| no_service(service, error, tests));
        failures.extend(unserved);
        failures.extend(untold);
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
        let list: String = self.remarkable.values().map(list_item).collect();
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

/// The command that runs this test alone.
#[must_use]
pub fn rerun_command(test: &TestId) -> String {
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
    let expr = expr.to_string().replace('\'', r"'\''");
    format!("cargo clnrm test -p {} -E '{expr}'", test.package)
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

fn list_item(attempt: &Attempt) -> String {
    let test = style::test(&attempt.test);
    let time = taken(attempt.phases.active());
    if attempt.status.is_success() {
        let word = format!("FLAKY {}/{}", attempt.attempt, attempt.attempts);
        return format!("{} {time} {test}\n", column(ODD, &word));
    }
    let word = column(BAD, &attempt_word(attempt, true));
    let rerun = paint(DIM, rerun_command(&attempt.test));
    format!("{word} {time} {test}\n{:13}{rerun}\n", "")
}

fn failure(attempt: &Attempt) -> String {
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
    text += &section("run it alone", &rerun_command(&attempt.test));
    text + "\n"
}

/// A service that did not start, and the tests that did not run for want of it.
fn no_service(service: &str, error: &str, tests: &[&TestId]) -> String {
    let service = match service {
        "" => String::new(),
        service => format!("{}: ", paint(style::BOLD, service)),
    };
    let first = format!("{} {service}", column(BAD, "NO SERVICE"));
    let mut text = style::with_details(&first, error);
    for test in tests {
        text += &format!("      needed by {}\n", style::test(test));
    }
    text + "\n"
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
    let lines: Vec<_> = service
        .log
        .iter()
        .map(|line| format!("+{:.3}s {}", line.after.as_secs_f64(), line.text))
        .collect();
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
mod tests {
    use anstream::adapter::strip_str;

    use super::super::event::{InstanceDurations, Part, ServiceChange};
    use super::super::sample;
    use super::*;

    fn of(events: &[RunEvent]) -> Summary {
        let mut summary = Summary::default();
        for event in events {
            summary.observe(event);
        }
        summary
    }

    fn sample_run() -> (Summary, Counts) {
        let events: Vec<_> = sample::run()
            .into_iter()
            .map(|envelope| envelope.event)
            .collect();
        let counts = match events.last() {
            Some(RunEvent::RunFinished { counts, .. }) => *counts,
            other => panic!("{other:?}"),
        };
        (of(&events), counts)
    }

    fn text(summary: &Summary, counts: &Counts) -> String {
        strip_str(&summary.text(counts, sample::ms(6_000))).to_string()
    }

    #[test]
    fn the_summary_counts_and_lists_what_failed_and_how_to_run_it_again() {
        let (summary, counts) = sample_run();
        insta::assert_snapshot!(text(&summary, &counts), @"
        ────────────
             Summary [   6.000s] 8/9 tests run: 3 passed (1 slow, 1 flaky, 1 leaky), 3 failed, 1 timed out, 1 without a service, 1 skipped
                LEAK 1 resource outlived the run, of which 0 could not be removed
                Kept what 1 failed test used stays (hint: `cargo clnrm clean` removes it)
          UNFINISHED [   0.100s] shop::it carts::exits
                     cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=carts::exits)'
           FLAKY 2/2 [   0.100s] shop::it carts::flaky
             TIMEOUT [   0.100s] shop::it carts::hangs
                     cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=carts::hangs)'
          TRY 2 SEGV [   0.100s] shop::it carts::never
                     cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=carts::never)'
          NO SERVICE [   0.100s] shop::it mails
                     cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=mails)'
                FAIL [   0.100s] shop::it orders::create
                     cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=orders::create)'
        ");
    }

    #[test]
    fn a_run_in_which_all_passed_is_a_line() {
        let summary = of(&[sample::finished("a", Status::Pass)]);
        let counts = Counts {
            tests: 1,
            passed: 1,
            ..Counts::default()
        };
        insta::assert_snapshot!(text(&summary, &counts), @"
        ────────────
             Summary [   6.000s] 1 test run: 1 passed, 0 skipped
        ");
        assert_eq!(summary.failures(), "");
    }

    #[test]
    fn what_was_not_run_is_never_silent() {
        let counts = Counts {
            tests: 3,
            passed: 1,
            not_run: NotRun {
                plain_tests: 12,
                harnessless: 1,
                doctests: 2,
            },
            ..Counts::default()
        };
        insta::assert_snapshot!(text(&Summary::default(), &counts), @"
        ────────────
             Summary [   6.000s] 1/3 tests run: 1 passed, 0 skipped
             Not run 12 plain tests, 1 target without a harness, 2 libraries with doctests (hint: `--all` runs the plain tests, `cargo test` all)
        ");
        let no_plain = NotRun {
            doctests: 1,
            ..NotRun::default()
        };
        insta::assert_snapshot!(strip_str(&not_run(&no_plain)).to_string(), @"     Not run 1 library with doctests (hint: `cargo test` runs them)");
    }

    #[test]
    fn a_failure_shows_output_then_logs_then_what_is_kept() {
        let summary = of(&[RunEvent::TestFinished(sample::failed_with_everything())]);
        insta::assert_snapshot!(strip_str(&summary.failures()).to_string(), @r#"
        ────────────
                FAIL [   0.100s] shop::it orders::create
                     the test process ended with code 101

          stdout ───

            running 1 test
            test orders::create ... FAILED

          stderr ───

            thread 'orders::create' (42) panicked at tests/it.rs:7:5:
            assertion failed: stock > 0
            note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

          log of postgres (postgres-1) ───

            +0.012s ERROR:  relation "stock" does not exist

          kept for you ───

            postgres orders_1 of postgres-1:
              postgres://clnrm:***@127.0.0.1:4711/orders_1
            with passwords: /tmp/clnrm-3c4cbe2c9a53/connect

          run it alone ───

            cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=orders::create)'
        "#);
    }

    #[test]
    fn a_failure_without_output_says_what_happened() {
        let summary = of(&[
            sample::finished("a", Status::Unfinished),
            sample::finished("b", Status::Timeout { part: Part::Body }),
        ]);
        insta::assert_snapshot!(strip_str(&summary.failures()).to_string(), @"
        ────────────
          UNFINISHED [   0.100s] shop::it a
                     the test process ended with code 0 before the test did (hint: something called `exit`)

          run it alone ───

            cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=a)'

             TIMEOUT [   0.100s] shop::it b
                     the test ran longer than it may

          run it alone ───

            cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=b)'
        ");
    }

    #[test]
    fn a_service_that_does_not_start_is_told_once_for_all_tests() {
        let status = Status::NoService {
            service: "mail".to_owned(),
            error: "it ended with code 1\n  log: no config".to_owned(),
        };
        let broken = |service: &str| {
            RunEvent::ServiceState(ServiceChange {
                service: service.to_owned(),
                key: service.to_owned(),
                instance: service.to_owned(),
                state: InstanceState::Failed,
                durations: InstanceDurations::default(),
                users: None,
                error: Some(format!("{service} does not start")),
            })
        };
        let summary = of(&[
            broken("mail"),
            broken("optional"),
            sample::finished("a", status.clone()),
            sample::finished("b", status),
        ]);
        insta::assert_snapshot!(strip_str(&summary.failures()).to_string(), @"
        ────────────
          NO SERVICE mail: it ended with code 1
                log: no config
              needed by shop::it a
              needed by shop::it b

          NO SERVICE optional: optional does not start
        ");
    }

    #[test]
    fn the_rerun_command_survives_odd_names() {
        let test = TestId {
            name: "a,b)c\\d'e".to_owned(),
            ..sample::test("")
        };
        insta::assert_snapshot!(rerun_command(&test), @r"cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=a\,b\)c\\d'\''e)'");
    }

    #[test]
    fn a_test_that_passed_in_the_end_is_listed_and_no_failure() {
        let summary = of(&[RunEvent::TestFinished(sample::second_try(
            "a",
            Status::Pass,
        ))]);
        assert_eq!(summary.failures(), "");
        let counts = Counts {
            tests: 1,
            passed: 1,
            flaky: 1,
            ..Counts::default()
        };
        assert!(text(&summary, &counts).contains("FLAKY 2/2"));
    }

    #[test]
    fn the_summary_is_green_only_if_all_ran_and_passed_and_nothing_leaked() {
        let colored = |summary: &Summary, passed, failed| {
            let counts = Counts {
                tests: 2,
                passed,
                failed,
                ..Counts::default()
            };
            let text = summary.text(&counts, sample::ms(1));
            let (before, _) = text.split_once("     Summary").unwrap();
            before.trim_start_matches(RULE).to_owned()
        };
        let (good, bad) = (GOOD.render().to_string(), BAD.render().to_string());
        let mut summary = Summary::default();
        assert_eq!(colored(&summary, 2, 0), good);
        assert_eq!(colored(&summary, 1, 1), bad);
        assert_eq!(colored(&summary, 1, 0), bad);
        summary.leaks.push(true);
        assert_eq!(colored(&summary, 2, 0), bad);
    }

    #[test]
    fn colours_of_a_test_end_with_its_output() {
        let mut attempt = sample::attempt("a", Status::Fail { code: 101 });
        attempt.output.stdout = "\x1b[31mred".to_owned();
        let text = of(&[RunEvent::TestFinished(attempt)]).failures();
        assert!(text.contains("\x1b[31mred\n\x1b[0m"), "{text:?}");
    }
}
