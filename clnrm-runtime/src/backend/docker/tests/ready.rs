//! Waits with a real engine: ready, never ready, and ended before.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::world::{BUSYBOX, container, script, spec, template, web};
use super::{NOW, World};
use crate::backend::{Backend, State};
use crate::error::{ErrorKind, Result};
use crate::service::{InstanceId, Port, Spec, Wait};
use crate::wait::Readiness;
use crate::wait::backoff::rest;

/// Goes on once a test has made the file.
const GATE: &str = "until [ -e /go ]; do sleep 0.05; done";

/// How long the gate stays shut.
const A_WHILE: Duration = Duration::from_millis(500);

/// Waits for what cannot be ready before its gate is open.
async fn through_the_gate(
    world: &World,
    id: &InstanceId,
    ready: impl Future<Output = Result<Readiness>>,
) {
    let open = async {
        rest(A_WHILE).await;
        world.shell(id, "touch /go").await;
    };
    let (readiness, ()) = tokio::join!(ready, open);
    let elapsed = readiness.unwrap().elapsed;
    assert!(elapsed >= A_WHILE, "ready before that: {elapsed:?}");
}

/// A web server that comes to listen on `address` after a line of shell.
fn server(first: &str, address: &str) -> Spec {
    let mut spec = script(&format!("{first}; exec httpd -f -p {address} -h /tmp"));
    spec.ports.insert("main".to_owned(), Port::tcp(8000));
    spec.wait = Wait::Tcp { port: None };
    spec
}

/// The engine's proxy accepts from the first moment on.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_counts_when_the_service_has_it() {
    let Some(world) = World::open().await else {
        return;
    };
    let spec = server(GATE, "8000");
    let (id, started) = world.start("late", spec.clone()).await;
    let ready = world.ready("late", &id, &spec, &started.endpoints, None);
    through_the_gate(&world, &id, ready).await;
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

/// S0-2: a typed error within the timeout, and nothing left.
#[tokio::test(flavor = "multi_thread")]
async fn what_listens_on_loopback_inside_is_never_ready() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut spec = server("true", "127.0.0.1:8000");
    spec.wait = Wait::Exec {
        command: ["sh", "-c", "netstat -ltn | grep -q :8000"]
            .map(str::to_owned)
            .to_vec(),
    };
    let (id, started, ready) = world.start_ready("late", spec.clone()).await;
    ready.unwrap();
    spec.wait = Wait::Tcp { port: None };
    spec.start_timeout = Duration::from_secs(5);
    let ready = world
        .ready("late", &id, &spec, &started.endpoints, None)
        .await;
    let error = ready.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let answer = error.context("last answer").unwrap();
    // Where the engine is in another pid namespace, only its proxy can be seen.
    let pid = world.backend.inspect(&id).await.unwrap().pid;
    let why = pid.map_or("accepts and hangs up", |_| "on loopback alone");
    assert!(answer.contains(why), "{error}");
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_exits_at_once_shows_its_log() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut spec = script("echo cannot open /config >&2; exit 3");
    spec.ports.insert("main".to_owned(), Port::tcp(80));
    spec.wait = Wait::http("/");
    let (id, started, ready) = world.start_ready("db", spec).await;
    let error = ready.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Service);
    assert_eq!(
        error.message(),
        "service `db` exited with code 3 before it was ready"
    );
    assert_eq!(error.context("image"), Some(BUSYBOX));
    assert_eq!(error.context("log"), Some("cannot open /config"));
    drop(started);
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_strategy_is_met() {
    let Some(world) = World::open().await else {
        return;
    };
    let exec = Wait::Exec {
        command: ["test", "-e", "/run/nginx.pid"].map(str::to_owned).to_vec(),
    };
    let mut spec = web();
    spec.wait = Wait::All(vec![
        Wait::Running,
        Wait::log("start worker process"),
        Wait::http("/healthz"),
        Wait::Tcp { port: None },
        exec,
        Wait::Plugin,
    ]);
    let (id, _, ready) = world.start_ready("web", spec).await;
    ready.unwrap();
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

/// The log of the life before a restart says nothing about the one after.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_log_begins_anew() {
    let Some(world) = World::open().await else {
        return;
    };
    let again = format!("if [ -e /again ]; then {GATE}; fi; touch /again");
    let mut spec = script(&format!("{again}; echo up; exec sleep 600"));
    spec.wait = Wait::log("^up$");
    let (id, _, ready) = world.start_ready("app", spec.clone()).await;
    ready.unwrap();
    world.backend.stop(&id, NOW).await.unwrap();
    let since = Some(SystemTime::now());
    world.backend.start(&id).await.unwrap();
    let endpoints = BTreeMap::new();
    let ready = world.ready("app", &id, &spec, &endpoints, since);
    through_the_gate(&world, &id, ready).await;
    assert_eq!(world.log(&id).await, "up\nup");
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_exist_is_an_answer_and_no_readiness() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut spec = script("exec sleep 600");
    spec.wait = Wait::Exec {
        command: vec!["no-such-probe".to_owned()],
    };
    spec.start_timeout = Duration::from_secs(10);
    let (id, _, ready) = world.start_ready("app", spec).await;
    let error = ready.unwrap_err();
    let answer = error.context("last answer").unwrap();
    assert!(answer.contains("no program `no-such-probe`"), "{error}");
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_for_another_machine_is_told() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut spec = spec(BUSYBOX);
    // An ELF file for a processor that this is not.
    container(&mut spec).files = vec![crate::service::File {
        path: "/foreign".to_owned(),
        contents: "\u{7f}ELF\u{2}\u{1}\u{1}".to_owned() + &"\0".repeat(60),
        mode: 0o755,
    }];
    container(&mut spec).command = Some(vec![template("/foreign")]);
    spec.wait = Wait::log("never");
    let id = world
        .backend
        .create(&world.request("app", spec.clone()))
        .await
        .unwrap();
    // Older engines start it and leave the news to its log.
    let error = match world.backend.start(&id).await {
        Err(error) => error,
        Ok(_) => {
            world.backend.remove(&id).await.unwrap();
            let (id, _, ready) = world.start_ready("app", spec).await;
            world.backend.remove(&id).await.unwrap();
            assert_eq!(world.state(&id).await, State::Gone);
            ready.unwrap_err()
        }
    };
    assert!(
        error.hint().unwrap().contains("this machine's processor"),
        "{error}"
    );
    world.close().await;
}
