//! An owner that ends gives up what it has begun, at once, and nothing of it stays.

use std::future::pending;
use std::time::Duration;

use tokio::time::timeout;

use super::sketch::{by_hand, implied, own, service, shared, slice};
use super::stage::{Stage, owner, planned};
use crate::backend::fake::{End, Step};
use crate::engine::Keep;
use crate::lifecycle::LifecycleState;

/// Lets that much time pass.
async fn pass(seconds: u64) {
    timeout(Duration::from_secs(seconds), pending::<()>())
        .await
        .unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_start_is_given_up_at_any_step() {
    let steps = [
        (Step::Create, "db"),
        (Step::Start, "db"),
        (Step::PluginReady, "db"),
        (Step::PluginMigrate, "db"),
        (Step::Create, "shop"),
        (Step::CreateNetwork, "network default"),
    ];
    for (step, name) in steps {
        let stage = Stage::new([
            service("db").asks_plugin().migrates().networked(),
            service("shop").needs(&["db"]).networked(),
        ]);
        // Long, but it ends: what the backend is at is not cut in the middle.
        stage.takes(step, name, 3);
        let acquiring = stage.acquiring("a", [own("shop"), implied(own("db"))]);
        pass(1).await;
        stage.release("a").await;
        assert!(stage.now() <= 3, "{step:?} {name}");
        let error = acquiring.await.unwrap().unwrap_err();
        assert!(error.message().contains("was given up"), "{error}");
        stage.is_empty();
        pass(100).await;
        stage.is_empty();
        stage.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_never_ends_is_given_up_too() {
    let steps = [
        Step::Create,
        Step::Start,
        Step::PluginReady,
        Step::PluginMigrate,
    ];
    for step in steps {
        let stage = Stage::new([service("db").asks_plugin().migrates()]);
        stage.script.hangs(step, "db");
        let acquiring = stage.acquiring("a", [own("db")]);
        pass(1).await;
        stage.release("a").await;
        assert!(stage.now() < 10, "{step:?}");
        acquiring.await.unwrap().unwrap_err();
        // A create that is cut has no name yet: the sweep finds it by its label,
        // and nobody did anything wrong.
        stage.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_run_starts_for_a_test_goes_on_for_others() {
    for lease in [shared("db"), slice("db"), own("shop")] {
        let stage = Stage::new([service("db"), service("shop").needs(&["db"])]);
        stage.takes(Step::Start, "db", 30);
        let below = implied(shared("db"));
        let first = stage.acquiring("a", [lease.clone(), below.clone()]);
        let second = stage.acquiring("b", [lease, below]);
        pass(1).await;
        stage.release("a").await;
        assert_eq!(stage.now(), 1);
        first.await.unwrap().unwrap_err();
        second.await.unwrap().unwrap();
        assert_eq!(stage.now(), 30);
        assert_eq!(stage.calls(Step::Create, "db").len(), 1);
        stage.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_is_being_made_is_dropped() {
    let stage = Stage::new([service("db")]);
    stage.acquire("first", [slice("db")]).await.unwrap();
    stage.takes(Step::PluginSlice, "db", 3);
    let acquiring = stage.acquiring("a", [slice("db")]);
    pass(1).await;
    stage.release("a").await;
    acquiring.await.unwrap().unwrap_err();
    assert_eq!(stage.slices().len(), 1);
    assert_eq!(
        stage.call(Step::PluginDropSlice, "db").ended.unwrap().1,
        End::Done
    );
    // Its number is free again.
    stage.acquire("b", [slice("db")]).await.unwrap();
    assert_eq!(stage.hooks.asked().last().unwrap().number, 2);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_number_whose_plugin_never_answered_is_not_used_again() {
    let stage = Stage::new([service("db")]);
    stage.script.hangs(Step::PluginSlice, "db");
    let acquiring = stage.acquiring("a", [slice("db")]);
    pass(1).await;
    stage.release("a").await;
    assert!(stage.now() < 10);
    acquiring.await.unwrap().unwrap_err();
    let other = stage.acquiring("b", [slice("db")]);
    pass(1).await;
    assert_eq!(stage.hooks.asked().last().unwrap().number, 2);
    stage.release("b").await;
    other.await.unwrap().unwrap_err();
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_by_hand_is_stopped_when_nobody_waits_for_it() {
    let stage = Stage::new([by_hand("mail")]);
    stage.takes(Step::PluginStart, "mail", 3);
    let acquiring = stage.acquiring("a", [own("mail")]);
    pass(1).await;
    stage.release("a").await;
    acquiring.await.unwrap().unwrap_err();
    assert_eq!(
        stage.call(Step::PluginStop, "mail").ended.unwrap().1,
        End::Done
    );
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_has_ended_begins_nothing() {
    let stage = Stage::new([service("db"), service("shop").needs(&["db"])]);
    let acquiring = stage.acquiring("a", [own("shop"), implied(own("db"))]);
    // Nothing has run yet: the lease is asked for, its instance is not.
    let owner = owner("a");
    let (released, acquired) = tokio::join!(stage.engine.release(&owner, Keep::Nothing), acquiring);
    assert!(released.is_empty());
    let _ = acquired.unwrap();
    stage.release("a").await;
    stage.is_empty();
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn release_gives_up_wherever_the_start_is() {
    // Each number of polls stops the start at another place.
    for polls in 0..60 {
        let stage = Stage::new([
            service("db").migrates().networked(),
            service("shop").needs(&["db"]).networked(),
        ]);
        for step in [Step::Create, Step::Start, Step::PluginMigrate] {
            stage.takes(step, "db", 1);
        }
        let leases = [own("shop"), slice("db"), implied(own("db"))];
        let acquiring = stage.acquiring("a", leases);
        for _ in 0..polls {
            tokio::task::yield_now().await;
        }
        if polls % 2 == 1 {
            pass(1 + polls % 3).await;
        }
        stage.release("a").await;
        let acquired = acquiring.await.unwrap();
        // Whether it had ended by then or not: it is over.
        drop(acquired);
        stage.release("a").await;
        let left = stage.engine.tracker().list();
        assert!(
            !left.iter().any(|it| it.contains("it a")),
            "{polls}: {left:?}"
        );
        assert_eq!(stage.slices(), Vec::<String>::new(), "{polls}");
        stage.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_may_be_cancelled_and_nothing_is_lost() {
    let stage = Stage::new([service("db")]);
    stage.takes(Step::Start, "db", 5);
    let test = planned("a", [own("db")]);
    let cut = timeout(Duration::from_secs(1), stage.engine.acquire(&test, 1)).await;
    assert!(cut.is_err());
    // Asked again, it is the same start.
    stage.engine.acquire(&test, 1).await.unwrap();
    assert_eq!(stage.now(), 5);
    assert_eq!(stage.calls(Step::Create, "db").len(), 1);
    stage.release("a").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_cancelled_goes_on() {
    let stage = Stage::new([service("db"), service("cache")]);
    stage.takes(Step::Stop, "db", 5);
    stage.takes(Step::PluginDropSlice, "cache", 5);
    stage
        .acquire("a", [own("db"), slice("cache")])
        .await
        .unwrap();
    let owner = owner("a");
    for _ in 0..3 {
        let release = stage.engine.release(&owner, Keep::Nothing);
        assert!(timeout(Duration::from_secs(1), release).await.is_err());
    }
    stage.release("a").await;
    assert_eq!(stage.slices(), Vec::<String>::new());
    assert_eq!(stage.fake.services(), ["cache"]);
    assert_eq!(stage.calls(Step::Stop, "db").len(), 1);
    assert_eq!(stage.calls(Step::PluginDropSlice, "cache").len(), 1);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_told_as_failed() {
    use LifecycleState::{Failed, Starting};
    let stage = Stage::new([service("db")]);
    stage.script.hangs(Step::Start, "db");
    let acquiring = stage.acquiring("a", [own("db")]);
    pass(1).await;
    stage.release("a").await;
    acquiring.await.unwrap().unwrap_err();
    assert_eq!(stage.states("db"), [Starting, Failed]);
    let error = stage.instance_events("db")[1].error.clone().unwrap();
    insta::assert_snapshot!(error, @"
    the start of `db` was given up: whoever asked for it has ended
      service: db (fake)
      phase: start
      from: program `/fake/db`
    ");
}
