//! Job control: Ctrl-Z and `fg`, as the signals that a terminal and a shell send.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::backend::Backend;
use crate::leftovers::Traces;
use crate::process::{self, Process};
use crate::run::{Held, Run};

/// Longer than the test `is_limited` may take.
const LONGER_THAN_THE_LIMIT: Duration = Duration::from_millis(8_500);

/// Longer than the service `Gated` may take to start.
const LONGER_THAN_A_START: Duration = Duration::from_millis(8_500);

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
    traces.nothing_is_left();
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
    traces.nothing_is_left();
}

#[test]
fn a_service_that_is_just_starting_outlives_its_limit() {
    let backend = Backend::Process;
    let filter = "test(=needs_what_is_gated)";
    let mut run = Run::start(backend, &["--test", "outcomes", "-E", filter]);
    let gate = run.wait_for(|run| find(&run.dir(), "gate"));
    let traces = Traces::of(&run, backend);
    run.signal(Signal::TSTP);
    run.stops();
    let ended = process::ends(run.pid(), Instant::now() + LONGER_THAN_A_START);
    assert!(!ended);
    run.signal(Signal::CONT);
    // Open for both, it waits for no reader.
    let mut gate = File::options().read(true).write(true).open(gate).unwrap();
    gate.write_all(b"\n").unwrap();
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 passed"), "{}", ended.stderr);
    traces.nothing_is_left();
}

/// A file below a directory, by its name.
fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).find_map(|path| {
        if path.is_dir() {
            find(&path, name)
        } else {
            path.ends_with(name).then_some(path)
        }
    })
}

/// As a shell's `kill %1` does.
#[test]
fn a_stopped_run_that_is_asked_to_end_does() {
    let mut scene = stopped("passes");
    scene.run.signal(Signal::TERM);
    scene.run.signal(Signal::CONT);
    let ended = scene.run.end();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    scene.traces.nothing_is_left();
}

#[test]
fn a_stopped_run_that_is_killed_leaves_nothing() {
    let mut scene = stopped("passes");
    scene.run.signal(Signal::KILL);
    scene.run.end();
    scene.traces.nothing_is_left();
}
