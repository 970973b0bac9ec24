//! What is left when things die while a test runs: nothing, within the time that is promised, and all that is others'.

use std::time::Instant;

use rustix::process::Signal;

use crate::backend::{Backend, on_each_backend};
use crate::bystander::Bystander;
use crate::leftovers::Traces;
use crate::process::Process;
use crate::run::{Ended, Held, Powers, Run};

on_each_backend!(
    ctrl_c_is_code_130_and_leaves_nothing,
    sigterm_is_code_130_and_leaves_nothing,
    a_second_ctrl_c_kills_what_ignores_the_first,
    three_signals_at_once_leave_nothing,
    a_killed_coordinator_leaves_nothing,
    a_coordinator_killed_while_a_service_starts_leaves_nothing,
    a_killed_test_is_code_100_and_leaves_nothing,
    a_killed_keeper_fails_the_run_and_leaves_nothing,
    a_killed_run_leaves_others_alone,
);

/// What a fault can be done to.
struct Scene {
    run: Run,
    held: Held,
}

impl Scene {
    /// A run of one test, which runs and has a service.
    #[track_caller]
    fn new(backend: Backend, test: &str, server: &str, powers: Powers) -> (Self, Traces) {
        let filter = format!("test(={test})");
        let args = ["--test", "outcomes", "-E", &filter];
        let run = Run::start_as(backend, &args, powers);
        let held = run.held();
        let traces = Traces::of(&run, backend);
        assert!(traces.has_service(server), "{traces:#?}");
        (Self { run, held }, traces)
    }
}

/// Runs `test` until `fault`, and gives how the command ended.
#[track_caller]
fn check(backend: Backend, test: &str, fault: impl FnOnce(&mut Scene)) -> Ended {
    let (mut scene, traces) = Scene::new(backend, test, "redis-server", Powers::All);
    let begun = Instant::now();
    fault(&mut scene);
    let ended = scene.run.end();
    traces.nothing_is_left_since(begun);
    ended
}

fn ctrl_c_is_code_130_and_leaves_nothing(backend: Backend) {
    let ended = check(backend, "passes", |scene| scene.run.signal(Signal::INT));
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
}

fn sigterm_is_code_130_and_leaves_nothing(backend: Backend) {
    let ended = check(backend, "passes", |scene| scene.run.signal(Signal::TERM));
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
}

fn a_second_ctrl_c_kills_what_ignores_the_first(backend: Backend) {
    let ended = check(backend, "ignores_ctrl_c", |scene| {
        scene.run.signal(Signal::INT);
        assert_eq!(scene.held.line(), "interrupted");
        scene.run.signal(Signal::INT);
    });
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGKILL"), "{}", ended.stderr);
}

/// Whether the coordinator gets as far as its end, or leaves that to the keeper.
fn three_signals_at_once_leave_nothing(backend: Backend) {
    let ended = check(backend, "ignores_ctrl_c", |scene| {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            scene.run.signal(signal);
        }
    });
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
}

fn a_killed_coordinator_leaves_nothing(backend: Backend) {
    let ended = check(backend, "passes", |scene| scene.run.signal(Signal::KILL));
    assert_eq!(ended.status.code(), None, "{}", ended.stderr);
}

/// Just when the server, or its container, is there, and long before it is ready.
fn a_coordinator_killed_while_a_service_starts_leaves_nothing(backend: Backend) {
    let filter = "test(=passes_with_a_database)";
    let mut run = Run::start(backend, &["--test", "outcomes", "-E", filter]);
    let traces = run.wait_for(|run| {
        let traces = run.begun().then(|| Traces::of(run, backend))?;
        traces.has_service("postgres").then_some(traces)
    });
    let begun = Instant::now();
    run.signal(Signal::KILL);
    run.end();
    traces.nothing_is_left_since(begun);
}

fn a_killed_test_is_code_100_and_leaves_nothing(backend: Backend) {
    let ended = check(backend, "passes", |scene| {
        Process::signal(scene.held.pid, Signal::KILL);
    });
    assert_eq!(ended.status.code(), Some(100), "{}", ended.stderr);
    assert!(ended.stderr.contains("SIGKILL"), "{}", ended.stderr);
}

fn a_killed_keeper_fails_the_run_and_leaves_nothing(backend: Backend) {
    let ended = check(backend, "passes", |scene| {
        Process::signal(scene.run.keeper().pid, Signal::KILL);
    });
    assert_eq!(ended.status.code(), Some(70), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("keeper was killed"),
        "{}",
        ended.stderr
    );
}

fn a_killed_run_leaves_others_alone(backend: Backend) {
    let mut bystander = Bystander::start(backend);
    let scene = || Scene::new(backend, "passes", "redis-server", Powers::All);
    let (mut dying, dead) = scene();
    let (mut other, alive) = scene();
    let begun = Instant::now();
    dying.run.signal(Signal::KILL);
    dying.run.end();
    dead.nothing_is_left_since(begun);
    bystander.is_untouched();
    assert_eq!(Traces::of(&other.run, backend), alive);
    drop(other.held);
    let ended = other.run.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    alive.nothing_is_left();
    bystander.is_untouched();
}

/// Runs a test that has a database as a process until `fault`.
#[track_caller]
fn check_database(powers: Powers, fault: impl FnOnce(&Scene)) {
    let test = "passes_with_a_database";
    let (mut scene, traces) = Scene::new(Backend::Process, test, "postgres", powers);
    // Without namespaces nothing but its removal takes a server's shared memory away.
    let shares = !traces.shared_memory().is_empty();
    assert!(shares || powers == Powers::All, "{traces:#?}");
    let begun = Instant::now();
    fault(&scene);
    scene.run.end();
    traces.nothing_is_left_since(begun);
}

#[test]
fn a_killed_coordinator_leaves_no_database() {
    check_database(Powers::All, |scene| scene.run.signal(Signal::KILL));
}

#[test]
fn a_killed_coordinator_leaves_no_shared_memory() {
    check_database(Powers::NoNamespaces, |scene| {
        scene.run.signal(Signal::KILL);
    });
}

#[test]
fn a_killed_keeper_leaves_no_shared_memory() {
    check_database(Powers::NoNamespaces, |scene| {
        Process::signal(scene.run.keeper().pid, Signal::KILL);
    });
}

/// Without a pid namespace it is nobody's child any more.
#[test]
fn a_killed_keeper_leaves_nothing_that_detached_itself() {
    let (mut scene, _) = Scene::new(
        Backend::Process,
        "detaches_a_child",
        "redis-server",
        Powers::NoNamespaces,
    );
    // Nobody waits for it to become what it will be.
    let traces = scene.run.wait_for(|run| {
        let traces = Traces::of(run, Backend::Process);
        let detached = traces.processes("sleep").next().is_some();
        detached.then_some(traces)
    });
    let begun = Instant::now();
    Process::signal(scene.run.keeper().pid, Signal::KILL);
    scene.run.end();
    traces.nothing_is_left_since(begun);
}
