//! Job control: Ctrl-Z and `fg`, as the signals that a terminal and a shell send.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::backend::Backend;
use crate::leftovers::Traces;
use crate::process::Process;
use crate::run::{Held, Run};

/// Longer than the test `is_limited` may take.
const LONGER_THAN_THE_LIMIT: Duration = Duration::from_millis(3_500);

/// A run that stands still with its only test, which has a service.
struct Scene {
    run: Run,
    held: Held,
    traces: Traces,
}

#[track_caller]
fn stopped(test: &str) -> Scene {
    let backend = Backend::Process;
    let filter = format!("test(={test})");
    let mut run = Run::start(backend, &["--test", "outcomes", "-E", &filter]);
    let held = run.held();
    let traces = Traces::of(&run, backend);
    run.signal(Signal::TSTP);
    run.stops();
    Process::is_stopped(held.pid);
    let mut servers = traces.processes("redis-server").peekable();
    assert!(servers.peek().is_some(), "{traces:#?}");
    for server in servers {
        assert_ne!(Process::state(server.pid), Some('T'), "the server");
    }
    Scene { run, held, traces }
}

#[test]
fn a_stopped_test_outlives_its_limit() {
    let Scene {
        mut run,
        mut held,
        traces,
    } = stopped("is_limited");
    let ended = held.ends_before(Instant::now() + LONGER_THAN_THE_LIMIT);
    assert!(!ended);
    run.signal(Signal::CONT);
    held.answers();
    drop(held);
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    for word in ["Frozen", "Thawed", "1 passed"] {
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
    traces.nothing_is_left(Instant::now());
}

#[test]
fn the_limit_counts_on_once_a_test_goes_on() {
    let Scene {
        mut run,
        held,
        traces,
    } = stopped("is_limited");
    run.signal(Signal::CONT);
    // It is never let go.
    held.ends();
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(100), "{}", ended.stderr);
    assert!(ended.stderr.contains("TIMEOUT"), "{}", ended.stderr);
    traces.nothing_is_left(Instant::now());
}

/// As a shell's `kill %1` does.
#[test]
fn a_stopped_run_that_is_asked_to_end_does() {
    let mut scene = stopped("passes");
    let begun = Instant::now();
    scene.run.signal(Signal::TERM);
    scene.run.signal(Signal::CONT);
    let ended = scene.run.end();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    scene.traces.nothing_is_left(begun);
}

#[test]
fn a_stopped_run_that_is_killed_leaves_nothing() {
    let mut scene = stopped("passes");
    let begun = Instant::now();
    scene.run.signal(Signal::KILL);
    scene.run.end();
    scene.traces.nothing_is_left(begun);
}
