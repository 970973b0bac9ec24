//! Each mode gives what the plan promises, and each owner one lease of each service.

use std::collections::BTreeSet;

use super::sketch::{implied, own, service, shared, slice};
use super::stage::{Stage, handle, owner, planned};
use crate::backend::fake::Step;
use crate::engine::{EngineEvent, Keep, LeaseState};
use crate::error::CleanroomError;
use crate::plan::LeaseMode;
use crate::service::OwnerId;

#[tokio::test(start_paused = true)]
async fn own_is_an_instance_for_each_test() {
    let stage = Stage::new([service("db")]);
    let first = stage.handle("a", own("db")).await;
    let second = stage.handle("b", own("db")).await;
    assert_ne!(first.instance(), second.instance());
    assert_eq!((first.slice(), second.slice()), (None, None));
    assert_ne!(first.url().unwrap(), second.url().unwrap());
    stage.release("a").await;
    assert_eq!(stage.fake.services(), ["db"]);
    stage.release("b").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn shared_is_the_instance_of_the_run() {
    let stage = Stage::new([service("db")]);
    let first = stage.handle("a", shared("db")).await;
    stage.release("a").await;
    let second = stage.handle("b", shared("db")).await;
    assert_eq!(first.instance(), second.instance());
    assert_eq!(second.slice(), None);
    stage.release("b").await;
    assert_eq!(stage.fake.services(), ["db"]);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_slice_is_a_part_of_the_instance_of_the_run() {
    let stage = Stage::new([service("db")]);
    let first = stage.handle("a", slice("db")).await;
    let second = stage.handle("b", slice("db")).await;
    assert_eq!(first.instance(), second.instance());
    let run = stage.engine.run().id();
    let url = first.url().unwrap();
    assert!(url.ends_with(&format!("/clnrm_{run}_1")), "{url}");
    assert!(second.url().unwrap().ends_with(&format!("/clnrm_{run}_2")));
    stage.release("a").await;
    assert_eq!(stage.slices(), [format!("clnrm_{run}_2")]);
    stage.release("b").await;
    assert_eq!(stage.slices(), Vec::<String>::new());
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_run_may_lease_a_slice_that_all_share() {
    let stage = Stage::new([
        service("db").sliced_by_the_run(),
        service("mail").needs(&["db"]),
    ]);
    let first = stage.handle("a", shared("db")).await;
    let second = stage.handle("b", shared("db")).await;
    assert!(first.slice().is_some());
    assert_eq!(first.slice(), second.slice());
    let third = stage.handle("c", slice("db")).await;
    assert_eq!(third.instance(), first.instance());
    assert_ne!(third.slice(), first.slice());
    // What the run owns uses the slice of the run.
    stage.handle("d", shared("mail")).await;
    let url = &stage.fake.requests("mail")[0].needs["db.url"];
    assert_eq!(*url, first.url().unwrap());
    for test in ["a", "b", "c", "d"] {
        stage.release(test).await;
    }
    assert_eq!(stage.slices().len(), 1);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn within_a_test_one_service_is_one_thing() {
    let stage = Stage::new([service("db"), service("shop").needs(&["db"])]);
    for test in ["a", "b"] {
        let leases = stage
            .acquire(test, [own("shop"), slice("db")])
            .await
            .unwrap();
        let db = handle(&leases, "db").url().unwrap();
        let shop = leases.get("shop").unwrap().unwrap();
        let inner = shop.needs[0].1.as_ref().unwrap();
        assert_eq!(inner.handle.url().unwrap(), db);
        let request = stage.fake.requests("shop").pop().unwrap();
        assert_eq!(request.needs["db.url"], db);
    }
    assert_eq!(stage.hooks.asked().len(), 2);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn of_many_that_ask_at_once_one_starts_it() {
    for (lease, instances, slices) in [(own("db"), 1, 0), (slice("db"), 1, 1)] {
        let stage = Stage::new([service("db")]);
        stage.takes(Step::Start, "db", 1);
        let asking = (0..32).map(|_| stage.acquiring("a", [lease.clone()]));
        let mut seen = BTreeSet::new();
        for leases in asking.collect::<Vec<_>>() {
            let handle = handle(&leases.await.unwrap().unwrap(), "db");
            seen.insert(handle.url().unwrap());
        }
        assert_eq!(seen.len(), 1);
        assert_eq!(stage.calls(Step::Create, "db").len(), instances);
        assert_eq!(stage.hooks.asked().len(), slices);
        stage.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_tests_share_one_instance_and_have_a_slice_each() {
    let stage = Stage::new([service("db"), service("cache")]);
    stage.takes(Step::Start, "db", 1);
    let tests = (0..32).map(|number| format!("t{number}"));
    let asking = tests
        .clone()
        .map(|test| stage.acquiring(&test, [slice("db"), shared("cache")]));
    let mut seen = BTreeSet::new();
    for leases in asking.collect::<Vec<_>>() {
        let handle = handle(&leases.await.unwrap().unwrap(), "db");
        seen.insert(handle.slice().unwrap().id.clone());
    }
    assert_eq!(seen.len(), 32);
    let numbers = seen.iter().map(|id| id.number).collect::<BTreeSet<_>>();
    assert_eq!(numbers, (1..=32).collect());
    for name in ["db", "cache"] {
        assert_eq!(stage.calls(Step::Create, name).len(), 1);
    }
    for test in tests {
        stage.release(&test).await;
    }
    assert_eq!(stage.fake.services(), ["cache", "db"]);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn numbers_are_used_again_and_names_are_not() {
    let stage = Stage::new([service("db"), service("cache")]);
    for test in ["a", "b", "c"] {
        stage.handle(test, slice("db")).await;
    }
    stage.release("b").await;
    stage.handle("d", slice("db")).await;
    stage.handle("e", slice("db")).await;
    // Each instance counts for itself.
    stage.handle("f", slice("cache")).await;
    let run = stage.engine.run().id().clone();
    let asked = stage.hooks.asked().into_iter().map(|id| {
        let serial = id.name.strip_prefix(&format!("clnrm_{run}_"));
        (id.number, serial.unwrap().parse::<u32>().unwrap())
    });
    assert_eq!(
        asked.collect::<Vec<_>>(),
        [(1, 1), (2, 2), (3, 3), (2, 4), (4, 5), (1, 6)]
    );
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn each_attempt_takes_new_leases() {
    let stage = Stage::new([service("db"), service("cache")]);
    let test = planned("a", [own("db"), slice("cache")]);
    let mut seen = BTreeSet::new();
    for attempt in [1, 2] {
        let leases = stage.engine.acquire(&test, attempt).await.unwrap();
        seen.insert(handle(&leases, "db").url().unwrap());
        seen.insert(handle(&leases, "cache").url().unwrap());
        let owner = OwnerId::Test {
            test: test.test.clone(),
            attempt,
        };
        assert!(stage.engine.release(&owner, Keep::Nothing).await.is_empty());
    }
    assert_eq!(seen.len(), 4);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_that_cannot_be_planned_starts_nothing() {
    let stage = Stage::new([service("db")]);
    let mut test = planned("a", [own("db")]);
    test.error = Some(CleanroomError::plan_error("it needs itself"));
    let error = stage.engine.acquire(&test, 1).await.unwrap_err();
    assert_eq!(error.message(), "it needs itself");
    assert_eq!(stage.script.calls(), []);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn leases_are_told_with_their_mode_and_slice() {
    let stage = Stage::new([service("db"), service("cache"), service("mail")]);
    stage.takes(Step::PluginSlice, "db", 2);
    stage.takes(Step::PluginDropSlice, "db", 3);
    let leases = [slice("db"), shared("cache"), own("mail")];
    stage.acquire("a", leases).await.unwrap();
    stage.release("a").await;
    let events = stage.events().into_iter().filter_map(|event| match event {
        EngineEvent::Lease(event) => Some(event),
        EngineEvent::Instance(_) | EngineEvent::Leak(_) => None,
    });
    let events = events.map(|event| {
        let seconds = event.took.as_secs();
        (event.name, event.owner, event.mode, event.state, seconds)
    });
    let events = events.collect::<BTreeSet<_>>();
    let of = |name: &str, owner: OwnerId, mode, state, seconds| {
        (name.to_owned(), owner, mode, state, seconds)
    };
    let name = format!("clnrm_{}_1", stage.engine.run().id());
    let granted = LeaseState::Granted;
    let expected = BTreeSet::from([
        of("cache", OwnerId::Run, LeaseMode::Shared, granted(None), 0),
        of("cache", owner("a"), LeaseMode::Shared, granted(None), 0),
        of("mail", owner("a"), LeaseMode::Own, granted(None), 0),
        of("db", owner("a"), LeaseMode::Slice, granted(Some(name)), 2),
        of("db", owner("a"), LeaseMode::Slice, LeaseState::Ended, 3),
    ]);
    assert_eq!(events, expected);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_signature_does_not_name_is_not_handed_out() {
    let stage = Stage::new([service("db"), service("shop").needs(&["db"])]);
    let leases = stage
        .acquire("a", [own("shop"), implied(own("db"))])
        .await
        .unwrap();
    assert!(leases.get("db").is_err());
    assert!(leases.get("shop").unwrap().is_some());
    stage.shutdown().await;
}
