//! Promises about the life of an instance: created, running, stopped.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Fixture, STOP, must, refused, running, said, state, until};
use crate::backend::{Backend, Capability, Started, State};
use crate::service::{Endpoint, InstanceId, MAIN_PORT, Stop};

/// An instance that was created is not running yet.
pub async fn create_does_not_start(backend: &dyn Backend, fixture: &Fixture) {
    let id = must(
        "create",
        backend.create(&fixture.request(&fixture.server)).await,
    );
    assert_eq!(state(backend, &id).await, State::Created);
    must("remove", backend.remove(&id).await);
}

/// How long an engine waits that was not told how long.
const ENGINES_GRACE: Duration = Duration::from_secs(10);

/// The endpoints that a start returns are those where the instance answers, and
/// those that an inspection names.
pub async fn start_says_where_it_answers(backend: &dyn Backend, fixture: &Fixture) {
    let id = must(
        "create",
        backend.create(&fixture.request(&fixture.server)).await,
    );
    let started = must("start", backend.start(&id).await);
    said(backend, &id, "to stdout").await;
    assert_eq!(started.endpoints.len(), 1, "{started:?}");
    answers(fixture, &main(&started)).await;
    let inspection = must("inspect", backend.inspect(&id).await);
    assert_eq!(inspection.state, State::Running);
    assert_eq!(inspection.endpoints, started.endpoints);
    must("remove", backend.remove(&id).await);
}

/// What was never there is told apart from what stopped, and only a start of it
/// is an error.
pub async fn an_unknown_instance_is_gone(backend: &dyn Backend, _: &Fixture) {
    let id = InstanceId::new("clnrm-no-such-instance");
    assert_eq!(state(backend, &id).await, State::Gone);
    must("stop", backend.stop(&id, STOP).await);
    must("remove", backend.remove(&id).await);
    refused("start", backend.start(&id).await);
}

/// A stopped instance has exited, and a second stop is no error.
pub async fn stop_ends_it_and_may_be_repeated(backend: &dyn Backend, fixture: &Fixture) {
    let id = running(backend, fixture).await;
    must("stop", backend.stop(&id, STOP).await);
    exited(backend, &id).await;
    must("stop again", backend.stop(&id, STOP).await);
    must("remove", backend.remove(&id).await);
}

/// The grace is kept, and then it is killed.
pub async fn stop_kills_what_ignores_the_signal(backend: &dyn Backend, fixture: &Fixture) {
    let id = must(
        "create",
        backend.create(&fixture.request(&fixture.stubborn)).await,
    );
    must("start", backend.start(&id).await);
    said(backend, &id, "to stdout").await;
    let begun = Instant::now();
    let grace = Duration::from_secs(1);
    must("stop", backend.stop(&id, Stop { grace, ..STOP }).await);
    let took = begun.elapsed();
    exited(backend, &id).await;
    if fixture.answers {
        assert!(took >= grace, "killed after {took:?}");
        assert!(took < ENGINES_GRACE, "killed only after {took:?}");
    }
    must("remove", backend.remove(&id).await);
}

/// Who removes it does not wait for the grace that somebody else gives it.
pub async fn a_removal_overtakes_a_stop(backend: &dyn Backend, fixture: &Fixture) {
    let id = must(
        "create",
        backend.create(&fixture.request(&fixture.stubborn)).await,
    );
    must("start", backend.start(&id).await);
    said(backend, &id, "to stdout").await;
    let grace = Duration::from_secs(600);
    let stop = backend.stop(&id, Stop { grace, ..STOP });
    let both = async { tokio::join!(stop, backend.remove(&id)) };
    let patience = match fixture.answers {
        true => grace / 10,
        // Its clock runs ahead where nothing else is done.
        false => grace * 2,
    };
    let Ok((stopped, removed)) = timeout(patience, both).await else {
        panic!("it waits for the grace");
    };
    must("remove", removed);
    must("stop", stopped);
    assert_eq!(state(backend, &id).await, State::Gone);
}

/// A restart keeps files, and says anew where the instance answers.
pub async fn restart_keeps_the_data(backend: &dyn Backend, fixture: &Fixture) {
    let id = running(backend, fixture).await;
    let path = fixture.file("kept");
    let kept = bytes::Bytes::from_static(b"kept");
    must(
        "copy in",
        backend.copy_in(&id, &path, kept.clone(), 0o644).await,
    );
    let started = must("restart", backend.restart(&id, STOP).await);
    answers(fixture, &main(&started)).await;
    assert_eq!(must("copy out", backend.copy_out(&id, &path).await), kept);
    assert_eq!(state(backend, &id).await, State::Running);
    must("remove", backend.remove(&id).await);
}

/// An instance that ends by itself is told with its exit code.
pub async fn an_exit_is_told_with_its_code(backend: &dyn Backend, fixture: &Fixture) {
    let id = must(
        "create",
        backend.create(&fixture.request(&fixture.ends)).await,
    );
    must("start", backend.start(&id).await);
    assert_eq!(exited(backend, &id).await, 3);
    must("remove", backend.remove(&id).await);
}

/// Instances started at once answer in different places.
pub async fn instances_do_not_share_ports(backend: &dyn Backend, fixture: &Fixture) {
    let start = async || {
        let id = must(
            "create",
            backend.create(&fixture.request(&fixture.server)).await,
        );
        let started = must("start", backend.start(&id).await);
        (id, main(&started))
    };
    let (first, second, third) = tokio::join!(start(), start(), start());
    for (_, endpoint) in [&first, &second, &third] {
        answers(fixture, endpoint).await;
    }
    assert_ne!(first.1, second.1);
    assert_ne!(second.1, third.1);
    assert_ne!(first.1, third.1);
    for (id, _) in [first, second, third] {
        must("remove", backend.remove(&id).await);
    }
}

/// A capability that is declared works; one that is not is refused by name.
pub async fn capabilities_work_or_are_refused(backend: &dyn Backend, fixture: &Fixture) {
    let id = running(backend, fixture).await;
    if backend.capabilities().has(Capability::Pause) {
        must("pause", backend.pause(&id).await);
        assert_eq!(state(backend, &id).await, State::Paused);
        must("unpause", backend.unpause(&id).await);
        assert_eq!(state(backend, &id).await, State::Running);
        must("pause again", backend.pause(&id).await);
    } else {
        let error = refused("pause", backend.pause(&id).await);
        assert!(error.message().contains("has no pause"), "{error}");
    }
    if backend.capabilities().has(Capability::Stats) {
        assert!(must("stats", backend.stats(&id).await).memory > 0);
    } else {
        let error = refused("stats", backend.stats(&id).await);
        assert!(error.message().contains("has no statistics"), "{error}");
    }
    must("stop of a paused one", backend.stop(&id, STOP).await);
    must("remove", backend.remove(&id).await);
}

/// Waits for the end and returns the code.
async fn exited(backend: &dyn Backend, id: &InstanceId) -> i32 {
    until("the exit", async || match state(backend, id).await {
        State::Exited { code } => Some(code),
        _ => None,
    })
    .await
}

#[track_caller]
fn main(started: &Started) -> Endpoint {
    match started.endpoints.get(MAIN_PORT) {
        Some(endpoint) => endpoint.clone(),
        None => panic!("no endpoint `{MAIN_PORT}` in {started:?}"),
    }
}

async fn answers(fixture: &Fixture, endpoint: &Endpoint) {
    if !fixture.answers {
        return;
    }
    let address = (endpoint.host.as_str(), endpoint.port);
    until(&format!("an answer at {endpoint}"), async || {
        TcpStream::connect(address).await.ok()
    })
    .await;
}
