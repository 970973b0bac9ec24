//! What is left when things die while a test runs: nothing, within the time that is promised.

use std::time::Instant;

use rustix::process::Signal;

use crate::backend::{Backend, on_each_backend};
use crate::leftovers::Traces;
use crate::process::Process;
use crate::run::{Ended, Held, Run};

on_each_backend!(
    ctrl_c_is_code_130_and_leaves_nothing,
    sigterm_is_code_130_and_leaves_nothing,
    a_killed_coordinator_leaves_nothing,
    a_killed_test_is_code_100_and_leaves_nothing,
    a_killed_keeper_fails_the_run_and_leaves_nothing,
);

/// What a fault can be done to.
struct Scene {
    run: Run,
    held: Held,
}

/// Runs a test that has a Redis until `fault`, and gives how the command ended.
#[track_caller]
fn check(backend: Backend, fault: impl FnOnce(&Scene)) -> Ended {
    let run = Run::start(backend, &["--test", "outcomes", "-E", "test(=passes)"]);
    let held = run.held();
    let traces = Traces::of(&run, backend);
    assert!(traces.has_service("redis-server"), "{traces:#?}");
    let mut scene = Scene { run, held };
    let begun = Instant::now();
    fault(&scene);
    let ended = scene.run.end();
    traces.nothing_is_left(begun);
    ended
}

fn ctrl_c_is_code_130_and_leaves_nothing(backend: Backend) {
    let ended = check(backend, |scene| scene.run.signal(Signal::INT));
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
}

fn sigterm_is_code_130_and_leaves_nothing(backend: Backend) {
    let ended = check(backend, |scene| scene.run.signal(Signal::TERM));
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
}

fn a_killed_coordinator_leaves_nothing(backend: Backend) {
    let ended = check(backend, |scene| scene.run.signal(Signal::KILL));
    assert_eq!(ended.status.code(), None, "{}", ended.stderr);
}

fn a_killed_test_is_code_100_and_leaves_nothing(backend: Backend) {
    let ended = check(backend, |scene| {
        Process::signal(scene.held.pid, Signal::KILL);
    });
    assert_eq!(ended.status.code(), Some(100), "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGKILL"), "{}", ended.stderr);
}

fn a_killed_keeper_fails_the_run_and_leaves_nothing(backend: Backend) {
    let ended = check(backend, |scene| {
        Process::signal(scene.run.keeper().pid, Signal::KILL);
    });
    assert_eq!(ended.status.code(), Some(70), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("keeper was killed"),
        "{}",
        ended.stderr
    );
}
