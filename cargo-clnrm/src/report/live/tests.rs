//! The live lines of made-up runs.

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

#[test]
fn a_service_that_failed_before_it_was_stopped_has_a_line() {
    let change = ServiceChange {
        error: Some("it exited with code 7\n  log: no config".to_owned()),
        ..sample::changed("mail", "mail-1", InstanceState::Stopped)
    };
    let events = [sample::at(1, RunEvent::ServiceState(change))];
    insta::assert_snapshot!(plain(Numbering::Off, &events), @"      Exited [   0.000s] mail: it exited with code 7");
}
