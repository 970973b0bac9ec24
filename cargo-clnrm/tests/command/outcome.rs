//! How tests end, and with which code the command says so; of each run nothing is left.

use std::time::Instant;

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
    traces.nothing_is_left(Instant::now());
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
    assert_eq!((&leaving.name[..], children(&run)), ("leaves_a_child", 1));
    drop(leaving);
    let next = run.held();
    assert_eq!((&next.name[..], children(&run)), ("passes", 0));
    let traces = Traces::of(&run, backend);
    drop(next);
    let Ended { status, stderr, .. } = run.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("LEAK"), "{stderr}");
    traces.nothing_is_left(Instant::now());
}

fn a_test_that_hangs_ends_by_its_limit_and_is_named(backend: Backend) {
    // It is never let go.
    check_until(backend, "hangs", 100, "sample::outcomes hangs", |held| {
        held.ends();
    });
}
