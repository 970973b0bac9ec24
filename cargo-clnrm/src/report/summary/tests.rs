//! The summary of made-up runs.

use anstream::adapter::strip_str;

use super::super::event::{InstanceDurations, ServiceChange};
use super::super::sample;
use super::*;

fn of(events: &[RunEvent]) -> Summary {
    let mut summary = Summary::default();
    summary.observe(&sample::run_started(1));
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

      log of redis (redis-4) ───

        not read: it takes longer than 5s

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
        sample::finished("b", sample::timeout()),
    ]);
    insta::assert_snapshot!(strip_str(&summary.failures()).to_string(), @"
    ────────────
      UNFINISHED [   0.100s] shop::it a
                 the test process ended with code 0 before the test did (hint: something called `exit`)

      run it alone ───

        cargo clnrm test -p shop -E 'binary_id(=shop::it) & test(=a)'

         TIMEOUT [   0.100s] shop::it b
                 the test timed out after 1s (hint: look at what it waits for, or give it a `timeout`, or raise `test` in `[timeouts]` of clnrm.toml)

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
    let ended = |service: &str, state, error: &str| {
        RunEvent::ServiceState(ServiceChange {
            service: service.to_owned(),
            key: service.to_owned(),
            instance: service.to_owned(),
            state,
            durations: InstanceDurations::default(),
            users: None,
            error: Some(error.to_owned()),
        })
    };
    let exited = "`api` exited with code 101 before anybody stopped it\n  log: panicked";
    let summary = of(&[
        ended("mail", InstanceState::Failed, "mail does not start"),
        ended("optional", InstanceState::Failed, "optional does not start"),
        ended("api", InstanceState::Stopped, exited),
        ended("api", InstanceState::Stopped, "and again"),
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

          EXITED api: `api` exited with code 101 before anybody stopped it
            log: panicked
    ");
}

#[test]
fn the_rerun_command_survives_odd_names() {
    let test = TestId {
        name: "a,b)c\\d'e".to_owned(),
        ..sample::test("")
    };
    let command = rerun_command(&test, &Again::default());
    insta::assert_snapshot!(command, @r#"cargo clnrm test -E "binary_id(=shop::it) & test(=a\\,b\\)c\\\\d'e)""#);
    let words = shlex::split(&command).unwrap();
    assert_eq!(words[4], r"binary_id(=shop::it) & test(=a\,b\)c\\d'e)");
}

#[test]
fn the_rerun_command_has_the_flags_of_the_run() {
    let again = Again {
        flags: ["-F", "a b", "--all"].map(str::to_owned).into(),
        args: vec!["--seed=1".to_owned()],
    };
    insta::assert_snapshot!(rerun_command(&sample::test("a"), &again), @"cargo clnrm test -F 'a b' --all -E 'binary_id(=shop::it) & test(=a)' -- '--seed=1'");
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
