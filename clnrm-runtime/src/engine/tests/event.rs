//! What the engine tells: every instance its states in order, with what they took.

use std::time::Duration;

use super::sketch::{implied, own, service, shared};
use super::stage::{Stage, owner};
use crate::backend::BackendKind;
use crate::backend::fake::Step;
use crate::engine::{Keep, Phases};
use crate::lifecycle::LifecycleState::{Failed, Running, Starting, Stopped, Stopping};
use crate::service::OwnerId;

#[tokio::test(start_paused = true)]
async fn an_instance_tells_its_whole_life() {
    let stage = Stage::new([service("db").migrates()]);
    let durations = [
        (Step::Create, 1),
        (Step::Start, 2),
        (Step::PluginMigrate, 4),
        (Step::Stop, 8),
        (Step::Remove, 16),
    ];
    for (step, seconds) in durations {
        stage.takes(step, "db", seconds);
    }
    let handle = stage.handle("a", own("db")).await;
    stage.release("a").await;
    assert_eq!(stage.states("db"), [Starting, Running, Stopping, Stopped]);
    let phases = |create, ready, stop| {
        let seconds = Duration::from_secs;
        (seconds(create), seconds(ready), seconds(stop))
    };
    let seen = stage.instance_events("db").into_iter().map(|event| {
        assert_eq!(
            (event.key.clone(), event.owner),
            (handle.key().clone(), owner("a"))
        );
        assert_eq!((event.backend, event.error), (BackendKind::Fake, None));
        let Phases {
            create,
            ready,
            stop,
        } = event.phases;
        // The first wait lets a millisecond or two pass.
        let ready = Duration::from_secs(ready.as_secs());
        (event.instance, (create, ready, stop))
    });
    let id = Some(handle.instance().clone());
    let expected = [
        (None, phases(0, 0, 0)),
        (id.clone(), phases(3, 4, 0)),
        (id.clone(), phases(3, 4, 0)),
        (id, phases(3, 4, 24)),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_tells_why() {
    let stage = Stage::new([service("db").attempts(2)]);
    stage.fails(Step::Start, "db");
    stage.acquire("a", [own("db")]).await.unwrap_err();
    assert_eq!(stage.states("db"), [Starting, Failed]);
    let last = stage.instance_events("db").pop().unwrap();
    let error = last.error.unwrap();
    assert!(error.starts_with("Start fails\n  service: db"), "{error}");
    // With the pause before the second attempt.
    assert_eq!(last.phases.ready.as_secs(), stage.now());
    assert_ne!(stage.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_never_began_tells_nothing() {
    let stage = Stage::new([service("db").attempts(1), service("shop").needs(&["db"])]);
    stage.fails(Step::Start, "db");
    let leases = [own("shop"), implied(own("db"))];
    stage.acquire("a", leases).await.unwrap_err();
    assert_eq!(stage.states("shop"), []);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_stop_has_failed() {
    let stage = Stage::new([service("db")]);
    stage.acquire("a", [own("db")]).await.unwrap();
    stage.fails(Step::Stop, "db");
    stage.engine.release(&owner("a"), Keep::Nothing).await;
    assert_eq!(stage.states("db"), [Starting, Running, Stopping, Failed]);
    let last = stage.instance_events("db").pop().unwrap();
    assert!(last.error.unwrap().starts_with("Stop fails"));
}

#[tokio::test(start_paused = true)]
async fn what_tests_share_belongs_to_the_run() {
    let stage = Stage::new([service("db")]);
    for test in ["a", "b"] {
        stage.acquire(test, [shared("db")]).await.unwrap();
        stage.release(test).await;
    }
    stage.shutdown().await;
    let events = stage.instance_events("db");
    assert_eq!(stage.states("db"), [Starting, Running, Stopping, Stopped]);
    assert!(events.iter().all(|event| event.owner == OwnerId::Run));
}

#[tokio::test(start_paused = true)]
async fn a_dependency_is_running_before_its_dependant_starts() {
    let stage = Stage::new([service("db"), service("shop").needs(&["db"])]);
    let leases = [own("shop"), implied(own("db"))];
    stage.acquire("a", leases).await.unwrap();
    stage.release("a").await;
    let events = stage.events().into_iter().filter_map(|event| match event {
        crate::engine::EngineEvent::Instance(event) => Some((event.name, event.state)),
        crate::engine::EngineEvent::Lease(_) | crate::engine::EngineEvent::Leak(_) => None,
    });
    let events = events.map(|(name, state)| format!("{name} {state}"));
    let expected = [
        "db starting",
        "db running",
        "shop starting",
        "shop running",
        "shop stopping",
        "shop stopped",
        "db stopping",
        "db stopped",
    ];
    assert_eq!(events.collect::<Vec<_>>(), expected);
}
