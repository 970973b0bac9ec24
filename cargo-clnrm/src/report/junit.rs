//! A JUnit file, as CI systems read it: a suite for each binary, a case for each test.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use quick_junit::{
    NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite, XmlString,
};

use super::event::{Attempt, Envelope, RunEvent, ServiceUse, Status, TestId};
use super::file;

/// Gathers the results of tests for the file that is written at the end.
#[derive(Debug, Default)]
pub struct Junit {
    run: String,
    started: Option<(String, Duration)>,
    elapsed: Option<Duration>,
    tests: BTreeMap<String, BTreeMap<TestId, Vec<Case>>>,
}

/// An attempt and when it ended.
#[derive(Debug)]
struct Case {
    ended: Duration,
    attempt: Attempt,
}

impl Junit {
    /// Takes note of an event.
    pub fn observe(&mut self, envelope: &Envelope) {
        match &envelope.event {
            RunEvent::RunStarted { started_at, .. } => {
                self.run.clone_from(&envelope.run);
                self.started = Some((started_at.clone(), envelope.at));
            }
            RunEvent::TestAttempt(attempt) | RunEvent::TestFinished(attempt) => {
                let suite = self.tests.entry(attempt.test.binary_id.clone());
                let cases = suite.or_default().entry(attempt.test.clone());
                cases.or_default().push(Case {
                    ended: envelope.at,
                    attempt: attempt.clone(),
                });
            }
            RunEvent::RunFinished { elapsed, .. } => self.elapsed = Some(*elapsed),
            _ => {}
        }
    }

    /// The report so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report::new("clnrm-run");
        report.uuid = self.run.parse().ok();
        report.timestamp = self
            .started
            .as_ref()
            .and_then(|(started_at, _)| started_at.parse().ok());
        report.time = self.elapsed;
        for (binary_id, tests) in &self.tests {
            let mut suite = TestSuite::new(xml(binary_id));
            for (test, attempts) in tests {
                if let Some(case) = self.case(test, attempts) {
                    suite.add_test_case(case);
                }
            }
            report.add_test_suite(suite);
        }
        report
    }

    /// Writes the file. It appears at once and complete, or not at all. What is no file, such as a pipe, or is open
    /// already, as `/dev/stdout`, is written to.
    ///
    /// # Errors
    /// When the file or its directory cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut content = Vec::new();
        self.report()
            .serialize(&mut content)
            .map_err(io::Error::other)?;
        file::save(path, &content)
    }

    /// A case for a test: of one that failed, the first attempt is the case and the others are reruns; of one that
    /// passed in the end, the last is the case and the others are flaky runs.
    fn case(&self, test: &TestId, attempts: &[Case]) -> Option<TestCase> {
        let passed = attempts.last()?.attempt.status.is_success();
        let (main, others) = if passed {
            attempts.split_last()?
        } else {
            attempts.split_first()?
        };
        let status = &main.attempt.status;
        let mut case_status = match kind(status) {
            None => TestCaseStatus::success(),
            Some((kind, ty)) => {
                let mut failure = TestCaseStatus::non_success(kind);
                let (message, description) = described(&main.attempt);
                failure.set_type(ty).set_message(xml(&message));
                if let Some(description) = description {
                    failure.set_description(xml(&description));
                }
                failure
            }
        };
        case_status.add_reruns(others.iter().filter_map(|other| self.rerun(other)));
        let mut case = TestCase::new(xml(&test.name), case_status);
        case.set_classname(xml(&test.binary_id));
        case.set_time(main.attempt.phases.active());
        case.timestamp = self.began(main).and_then(|time| time.parse().ok());
        if !status.is_success() {
            let (stdout, stderr) = output(&main.attempt);
            case.system_out = stdout;
            case.system_err = stderr;
        }
        Some(case)
    }

    fn rerun(&self, case: &Case) -> Option<TestRerun> {
        let (kind, ty) = kind(&case.attempt.status)?;
        let mut rerun = TestRerun::new(kind);
        let (message, description) = described(&case.attempt);
        let (stdout, stderr) = output(&case.attempt);
        rerun
            .set_type(ty)
            .set_message(xml(&message))
            .set_time(case.attempt.phases.active());
        rerun.system_out = stdout;
        rerun.system_err = stderr;
        if let Some(description) = description {
            rerun.set_description(xml(&description));
        }
        rerun.timestamp = self.began(case).and_then(|time| time.parse().ok());
        Some(rerun)
    }

    fn began(&self, case: &Case) -> Option<String> {
        let active = case.attempt.phases.active();
        self.wall_clock(case.ended.saturating_sub(active))
    }

    /// The wall-clock time of a time since the command's start.
    fn wall_clock(&self, at: Duration) -> Option<String> {
        let (started_at, since_start) = self.started.as_ref()?;
        let started: Timestamp = started_at.parse().ok()?;
        let origin = started.checked_sub(*since_start).ok()?;
        origin.checked_add(at).ok().map(|time| time.to_string())
    }
}

/// How JUnit classes a status; a test that never ran is an error and no failure.
fn kind(status: &Status) -> Option<(NonSuccessKind, &'static str)> {
    match status {
        Status::Pass | Status::Leak => None,
        Status::Fail { .. } => Some((NonSuccessKind::Failure, "test failure")),
        Status::Timeout { .. } => Some((NonSuccessKind::Failure, "test timeout")),
        Status::Signal { .. } => Some((NonSuccessKind::Failure, "test abort")),
        Status::Unfinished => Some((NonSuccessKind::Failure, "test unfinished")),
        Status::NoService { .. } => Some((NonSuccessKind::Error, "no service")),
        Status::NoProcess { .. } => Some((NonSuccessKind::Error, "no process")),
    }
}

/// A line that says what went wrong and, of a panic, the whole of what it said.
fn described(attempt: &Attempt) -> (String, Option<String>) {
    let panic = match attempt.status {
        Status::Fail { .. } | Status::Signal { .. } => panic_of(&attempt.output.stderr),
        _ => None,
    };
    match panic {
        Some(text) => {
            let line = text.lines().next().unwrap_or_default();
            (line.trim_end_matches(':').to_owned(), Some(text))
        }
        None => (attempt.status.sentence(), None),
    }
}

/// What the standard library's panic handler wrote, without backtrace and notes.
fn panic_of(stderr: &str) -> Option<String> {
    let lines: Vec<_> = stderr
        .lines()
        .skip_while(|line| !(line.starts_with("thread '") && line.contains(" panicked at ")))
        .take_while(|line| !line.starts_with("stack backtrace:") && !line.starts_with("note: "))
        .collect();
    let text = lines.join("\n").trim_end().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Standard output, and standard error with the logs of the services that the test used; each only if there is any.
fn output(attempt: &Attempt) -> (Option<XmlString>, Option<XmlString>) {
    let logs = attempt
        .services
        .iter()
        .filter(|service| !service.log.is_empty() || service.unread.is_some());
    let logs: String = logs.map(log).collect();
    let stderr = format!("{}{logs}", attempt.output.stderr);
    let text = |text: &str| (!text.is_empty()).then(|| xml(text));
    (text(&attempt.output.stdout), text(&stderr))
}

/// A text as XML may have it. `XmlString` takes control characters out and leaves the two that Unicode calls no characters.
fn xml(text: &str) -> XmlString {
    XmlString::new(text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}

fn log(service: &ServiceUse) -> String {
    let lines = service
        .log
        .iter()
        .map(|line| format!("+{:.3}s {}\n", line.after.as_secs_f64(), line.text));
    let unread = service.unread.iter();
    let unread = unread.map(|why| format!("not read: {why}\n"));
    let lines: String = lines.chain(unread).collect();
    format!(
        "\nlog of {} ({}):\n{lines}",
        service.service, service.instance
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn of(events: &[Envelope]) -> Junit {
        let mut junit = Junit::default();
        for event in events {
            junit.observe(event);
        }
        junit
    }

    #[test]
    fn every_test_is_a_case_and_every_further_attempt_a_rerun() {
        let xml = of(&sample::run()).report().to_string().unwrap();
        insta::assert_snapshot!(xml, @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="clnrm-run" tests="8" skipped="0" failures="4" errors="1" uuid="3c4cbe2c-9a53-4a8b-b5f6-0f9a8f0b7a61" timestamp="2026-01-02T03:04:05.500+01:00" time="6.000">
            <testsuite name="shop::it" tests="8" skipped="0" errors="1" failures="4">
                <testcase name="carts::exits" classname="shop::it" timestamp="2026-01-02T02:04:08.980+00:00" time="0.100">
                    <failure message="the test process ended with code 0 before the test did (hint: something called `exit`)" type="test unfinished"/>
                </testcase>
                <testcase name="carts::flaky" classname="shop::it" timestamp="2026-01-02T02:04:07.480+00:00" time="0.100">
                    <flakyFailure timestamp="2026-01-02T02:04:07.330+00:00" time="0.100" message="the test process ended with code 101" type="test failure">
                        <system-err>no luck
        </system-err>
                    </flakyFailure>
                </testcase>
                <testcase name="carts::hangs" classname="shop::it" timestamp="2026-01-02T02:04:08.880+00:00" time="0.100">
                    <failure message="the test timed out after 1s (hint: look at what it waits for, or give it a `timeout`, or raise `test` in `[timeouts]` of clnrm.toml)" type="test timeout"/>
                </testcase>
                <testcase name="carts::leaks" classname="shop::it" timestamp="2026-01-02T02:04:07.680+00:00" time="0.100"/>
                <testcase name="carts::never" classname="shop::it" timestamp="2026-01-02T02:04:07.530+00:00" time="0.100">
                    <failure message="the test process was ended by signal 6: SIGABRT" type="test abort"/>
                    <rerunFailure timestamp="2026-01-02T02:04:07.580+00:00" time="0.100" message="the test process was ended by signal 11: SIGSEGV" type="test abort">
                        <system-err>no luck
        </system-err>
                    </rerunFailure>
                    <system-err>no luck
        </system-err>
                </testcase>
                <testcase name="mails" classname="shop::it" timestamp="2026-01-02T02:04:08.980+00:00" time="0.100">
                    <error message="the test did not run for want of `mail`: it ended with code 1" type="no service"/>
                </testcase>
                <testcase name="orders::create" classname="shop::it" timestamp="2026-01-02T02:04:07.280+00:00" time="0.100">
                    <failure message="thread &apos;orders::create&apos; (42) panicked at tests/it.rs:7:5" type="test failure">thread &apos;orders::create&apos; (42) panicked at tests/it.rs:7:5:
        assertion failed: stock &gt; 0</failure>
                    <system-out>
        running 1 test
        test orders::create ... FAILED
        </system-out>
                    <system-err>
        thread &apos;orders::create&apos; (42) panicked at tests/it.rs:7:5:
        assertion failed: stock &gt; 0
        note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

        log of postgres (postgres-1):
        +0.012s ERROR:  relation &quot;stock&quot; does not exist

        log of redis (redis-4):
        not read: it takes longer than 5s
        </system-err>
                </testcase>
                <testcase name="orders::list" classname="shop::it" timestamp="2026-01-02T02:04:07.190+00:00" time="0.100"/>
            </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn no_output_makes_the_file_malformed() {
        let odd = "\0\u{1b}[1m\u{7f}\u{fffe}]]>\u{ffff}";
        let panic = format!("thread 'a' (7) panicked at src/lib.rs:1:2{odd}:\nboom{odd}\n");
        let attempt = |number, max| {
            let mut attempt = sample::failed_with_everything();
            (attempt.attempt, attempt.attempts) = (number, max);
            attempt.test.name.push_str(odd);
            attempt.output.stdout = odd.to_owned();
            attempt.output.stderr.clone_from(&panic);
            attempt
        };
        let events = [
            sample::at(1, RunEvent::TestAttempt(attempt(1, 2))),
            sample::at(2, RunEvent::TestFinished(attempt(2, 2))),
        ];
        let xml = of(&events).report().to_string().unwrap();
        assert_eq!(xml.matches("boom").count(), 4, "{xml}");
        let bad = |c: char| matches!(c, '\0' | '\u{1b}' | '\u{fffe}' | '\u{ffff}');
        assert!(!xml.contains(bad), "{xml:?}");
    }

    #[test]
    fn a_panic_is_told_without_its_backtrace() {
        let stderr = "noise\n\nthread 'a' (7) panicked at src/lib.rs:1:2:\nboom\nstack backtrace:\n   0: x\n";
        let panic = panic_of(stderr).unwrap();
        assert_eq!(panic, "thread 'a' (7) panicked at src/lib.rs:1:2:\nboom");
        assert_eq!(panic_of("noise\n"), None);
    }

    #[test]
    fn the_file_is_complete_or_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reports/junit.xml");
        let junit = of(&sample::run());
        junit.save(&path).unwrap();
        junit.save(&path).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, junit.report().to_string().unwrap());
        let beside: Vec<_> = std::fs::read_dir(directory.path().join("reports"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(beside, ["junit.xml"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        // A directory in its place.
        let path = directory.path().join("junit.xml");
        std::fs::create_dir(&path).unwrap();
        assert!(of(&sample::run()).save(&path).is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
