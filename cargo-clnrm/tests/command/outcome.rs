//! How tests end, and with which code the command says so; of each run nothing is left.

use crate::backend::{Backend, on_each_backend};
use crate::leftovers::Traces;
use crate::run::{Ended, Held, Run};

on_each_backend!(
    a_test_that_passes_is_code_0,
    a_test_that_fails_is_code_100,
    a_test_that_panics_is_code_100,
    a_test_that_aborts_is_code_100,
    a_test_that_exits_with_0_before_its_end_is_code_100,
    what_a_test_leaves_running_is_a_leak_and_killed,
    a_test_that_hangs_ends_by_its_limit_and_is_named,
    a_service_that_cannot_start_is_code_105,
    only_what_the_tests_need_is_started,
);

/// Runs one test, which has a Redis, to its own end.
#[track_caller]
fn check(backend: Backend, test: &str, code: i32, line: &str) {
    check_until(backend, test, code, line, drop);
}

/// As [`check`], with what happens once the test runs.
#[track_caller]
fn check_until(backend: Backend, test: &str, code: i32, line: &str, then: impl FnOnce(Held)) {
    let filter = format!("test(={test})");
    let mut run = Run::start(backend, &["--test", "outcomes", "-E", &filter]);
    let held = run.held();
    assert_eq!(held.name, test);
    let traces = Traces::of(&run, backend);
    assert!(traces.has_service("redis-server"), "{traces:#?}");
    then(held);
    let Ended { status, stderr, .. } = run.end();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(line), "no `{line}` in:\n{stderr}");
    traces.nothing_is_left();
}

fn a_test_that_passes_is_code_0(backend: Backend) {
    check(backend, "passes", 0, "1 passed");
}

fn a_test_that_fails_is_code_100(backend: Backend) {
    check(backend, "fails", 100, "no luck with redis");
}

fn a_test_that_panics_is_code_100(backend: Backend) {
    check(backend, "panics", 100, "no luck with redis");
}

fn a_test_that_aborts_is_code_100(backend: Backend) {
    check(backend, "aborts", 100, "SIGABRT");
}

fn a_test_that_exits_with_0_before_its_end_is_code_100(backend: Backend) {
    check(backend, "exits_with_0", 100, "outcomes exits_with_0");
}

/// Not at the end of the run, but with the test: while the next one runs, it is gone.
fn what_a_test_leaves_running_is_a_leak_and_killed(backend: Backend) {
    let filter = "test(=leaves_a_child) + test(=passes)";
    let mut run = Run::start(backend, &["--test", "outcomes", "-j", "1", "-E", filter]);
    let children = |run: &Run| Traces::of(run, backend).processes("sleep").count();
    let leaving = run.held();
    assert_eq!(leaving.name, "leaves_a_child");
    // Nobody waits for it to become what it will be.
    run.wait_for(|run| (children(run) == 1).then_some(()));
    drop(leaving);
    let next = run.held();
    assert_eq!((&next.name[..], children(&run)), ("passes", 0));
    let traces = Traces::of(&run, backend);
    drop(next);
    let Ended { status, stderr, .. } = run.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("LEAK"), "{stderr}");
    traces.nothing_is_left();
}

fn a_test_that_hangs_ends_by_its_limit_and_is_named(backend: Backend) {
    // It is never let go.
    check_until(backend, "hangs", 100, "sample::outcomes hangs", |held| {
        held.ends();
    });
}

/// Runs what holds no test, to its own end.
#[track_caller]
fn check_alone(backend: Backend, args: &[&str], code: i32, line: &str) {
    let mut run = Run::start(backend, &[&["--test", "outcomes"], args].concat());
    let Ended { status, stderr, .. } = run.end();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(line), "no `{line}` in:\n{stderr}");
    assert_eq!(std::fs::read_dir(run.dir()).unwrap().count(), 0);
}

fn a_service_that_cannot_start_is_code_105(backend: Backend) {
    let args = ["-E", "test(=needs_what_cannot_start)"];
    check_alone(backend, &args, 105, "maxmemory-policy");
}

#[test]
fn no_test_to_run_is_code_4() {
    let args = ["-E", "test(=there_is_none)"];
    check_alone(Backend::Process, &args, 4, "there is no test to run");
    let args = [&args[..], &["--no-tests", "warn"]].concat();
    check_alone(Backend::Process, &args, 0, "there is no test to run");
}

#[test]
fn a_malformed_filter_is_code_94() {
    check_alone(
        Backend::Process,
        &["-E", "test(=passes"],
        94,
        "test(=passes",
    );
}

/// The binary declares a database too.
fn only_what_the_tests_need_is_started(backend: Backend) {
    let mut run = Run::start(backend, &["--test", "outcomes", "-E", "test(=passes)"]);
    let held = run.held();
    let traces = Traces::of(&run, backend);
    match backend {
        Backend::Process => {
            let count = |server| traces.processes(server).count();
            assert_eq!((count("redis-server"), count("postgres")), (1, 0));
        }
        Backend::Docker => {
            let containers: Vec<_> = traces.containers().collect();
            assert_eq!(containers.len(), 1, "{traces:#?}");
            assert!(containers[0].contains("redis"), "{traces:#?}");
        }
    }
    drop(held);
    assert_eq!(run.end().status.code(), Some(0));
    traces.nothing_is_left();
}
