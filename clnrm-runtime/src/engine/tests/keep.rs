//! What a failed test held stays for a look while the run lasts.

use std::time::Duration;

use super::sketch::{implied, key, own, service, shared, slice};
use super::stage::{Stage, owner};
use crate::backend::fake::Step;
use crate::engine::{EngineEvent, Keep, LeaseState};
use crate::lifecycle::LifecycleState;

#[tokio::test(start_paused = true)]
async fn slices_and_instances_stay_until_the_end_of_the_run() {
    let stage = Stage::new([
        service("db").networked(),
        service("shop").needs(&["db"]).networked(),
    ]);
    stage
        .acquire("a", [own("shop"), slice("db")])
        .await
        .unwrap();
    let kept = stage
        .engine
        .release(&owner("a"), Keep::WhileTheRunLasts)
        .await;
    assert!(kept.is_empty());
    assert_eq!(stage.fake.services(), ["db", "shop"]);
    assert_eq!(stage.slices().len(), 1);
    assert_eq!(stage.states("shop").last(), Some(&LifecycleState::Running));
    // Others do not get what was kept.
    stage.acquire("b", [slice("db")]).await.unwrap();
    assert_eq!(stage.hooks.asked()[1].number, 2);
    stage.release("b").await;
    assert_eq!(stage.slices().len(), 1);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn that_a_lease_was_kept_is_told() {
    let stage = Stage::new([service("db")]);
    stage.acquire("a", [slice("db")]).await.unwrap();
    stage
        .engine
        .release(&owner("a"), Keep::WhileTheRunLasts)
        .await;
    let told = || {
        let states = stage.events().into_iter().filter_map(|event| match event {
            EngineEvent::Lease(event) => Some(event.state),
            EngineEvent::Instance(_) | EngineEvent::Leak(_) => None,
        });
        states.skip(1).collect::<Vec<_>>()
    };
    assert_eq!(told(), [LeaseState::Kept]);
    stage.shutdown().await;
    assert_eq!(told(), [LeaseState::Kept, LeaseState::Ended]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_goes_on_is_not_worth_a_look() {
    let stage = Stage::new([service("db"), service("cache")]);
    stage.takes(Step::Start, "db", 3);
    let acquiring = stage.acquiring("a", [own("db"), own("cache")]);
    tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>())
        .await
        .unwrap_err();
    stage
        .engine
        .release(&owner("a"), Keep::WhileTheRunLasts)
        .await;
    acquiring.await.unwrap().unwrap_err();
    assert_eq!(stage.fake.services(), ["cache"]);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_stops_before_what_it_needs() {
    let stage = Stage::new([service("db"), service("shop").needs(&["db"])]);
    stage
        .acquire("a", [own("shop"), implied(shared("db"))])
        .await
        .unwrap();
    stage
        .engine
        .release(&owner("a"), Keep::WhileTheRunLasts)
        .await;
    stage.shutdown().await;
    let stops = stage.script.of(Step::Stop);
    assert_eq!(stops[0].service, "shop");
}

#[tokio::test(start_paused = true)]
async fn what_needs_one_that_cannot_stay_goes_with_it_and_first() {
    let with_host_port = |name| {
        service(name).spec(|spec| {
            for port in spec.ports.values_mut() {
                port.host = Some(8080);
            }
        })
    };
    let services = [
        with_host_port("db"),
        service("shop").needs(&["db"]),
        service("cache"),
    ];
    let stage = Stage::new(services);
    let leases = [own("shop"), implied(own("db")), own("cache")];
    stage.acquire("a", leases).await.unwrap();
    let owner = owner("a");
    let unkept = stage.engine.unkept(&owner, Keep::WhileTheRunLasts);
    assert_eq!(unkept, ["db", "shop"].map(key).into());
    assert!(stage.engine.unkept(&owner, Keep::AfterTheRun).is_empty());
    stage.engine.release(&owner, Keep::WhileTheRunLasts).await;
    let stopped = stage.script.of(Step::Stop).into_iter();
    let stopped: Vec<_> = stopped.map(|call| call.service).collect();
    assert_eq!(stopped, ["shop", "db"]);
    assert_eq!(stage.fake.services(), ["cache"]);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_stays_after_the_run_stays_with_all_that_it_needs() {
    let services = [
        service("db").networked(),
        service("cache"),
        service("shop").needs(&["db"]).networked(),
    ];
    let stage = Stage::new(services);
    let leases = [own("shop"), implied(shared("db"))];
    stage.acquire("a", leases).await.unwrap();
    stage
        .acquire("b", [slice("cache"), own("db")])
        .await
        .unwrap();
    let kept = Keep::AfterTheRun;
    assert!(stage.engine.release(&owner("a"), kept).await.is_empty());
    assert!(stage.engine.shutdown(false).await.is_empty());
    assert!(stage.engine.keeps());
    let mut left = stage.fake.services();
    left.sort();
    assert_eq!(left, ["db", "shop"]);
    // Whose the stopped ones were: the other test's database, and the run's cache.
    let mut stopped = stage.script.of(Step::Stop);
    stopped.sort_by(|one, other| one.service.cmp(&other.service));
    let stopped: Vec<_> = stopped.iter().map(|call| call.service.as_str()).collect();
    assert_eq!(stopped, ["cache", "db"]);
}

#[tokio::test(start_paused = true)]
async fn a_slice_stays_with_its_instance() {
    let stage = Stage::new([service("db")]);
    stage.acquire("a", [slice("db")]).await.unwrap();
    stage.acquire("b", [slice("db")]).await.unwrap();
    stage.engine.release(&owner("a"), Keep::AfterTheRun).await;
    stage.release("b").await;
    assert!(stage.engine.shutdown(false).await.is_empty());
    assert_eq!(stage.fake.services(), ["db"]);
    assert_eq!(stage.slices().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_patience_keeps_nothing() {
    let stage = Stage::new([service("db")]);
    stage.acquire("a", [slice("db")]).await.unwrap();
    stage.engine.release(&owner("a"), Keep::AfterTheRun).await;
    assert!(stage.engine.shutdown(true).await.is_empty());
    assert!(!stage.engine.keeps());
    assert!(stage.fake.services().is_empty());
}
