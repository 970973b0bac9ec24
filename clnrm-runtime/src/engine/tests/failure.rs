//! A service that does not start fails those that need it, says why, and leaves nothing.

use std::time::Duration;

use insta::assert_snapshot;

use super::sketch::{implied, own, service, shared, slice};
use super::stage::{Stage, owner};
use crate::backend::fake::Step;
use crate::engine::Keep;
use crate::error::CleanroomError;
use crate::lifecycle::ResourceTracker;

/// Fails one step, and gives the error of a test that needs the service.
async fn error_of(step: Step) -> CleanroomError {
    let stage = Stage::new([service("db").asks_plugin().migrates().attempts(1)]);
    let why = CleanroomError::container_error("the disk is full").with_hint("make room");
    stage.script.fails(step, "db", usize::MAX, why);
    let error = stage.acquire("a", [slice("db")]).await.unwrap_err();
    if step != Step::PluginSlice {
        stage.is_empty();
    }
    stage.shutdown().await;
    error
}

#[tokio::test(start_paused = true)]
async fn the_error_says_which_service_failed_and_where() {
    assert_snapshot!(error_of(Step::Create).await, @r"
    the disk is full
      service: db (fake)
      phase: create
      from: program `/fake/db`
      hint: make room
    ");
    assert_snapshot!(error_of(Step::Start).await, @r"
    the disk is full
      service: db (fake)
      phase: start
      from: program `/fake/db`
      hint: make room
    ");
    assert_snapshot!(error_of(Step::PluginMigrate).await, @r"
    the disk is full
      service: db (fake)
      phase: migrate
      from: program `/fake/db`
      hint: make room
    ");
    assert_snapshot!(error_of(Step::PluginSlice).await, @r"
    the disk is full
      service: db (fake)
      phase: slice
      from: program `/fake/db`
      hint: make room
    ");
    assert_snapshot!(error_of(Step::PluginReady).await, @r"
    service `db` was not ready within 60.0s
      service: db
      phase: ready
      program: /fake/db
      elapsed: 60.0s
      waited for: the plugin's `ready` exchange
      last answer: the disk is full
          hint: make room
      log: to stdout
        to stderr
      hint: check the credentials and the configuration of the service; if it is only slow, raise `start_timeout`
    ");
}

#[tokio::test(start_paused = true)]
async fn a_dependants_error_names_both() {
    let stage = Stage::new([service("db").attempts(1), service("shop").needs(&["db"])]);
    stage.fails(Step::Start, "db");
    let leases = [own("shop"), implied(own("db"))];
    let error = stage.acquire("a", leases).await.unwrap_err();
    assert_snapshot!(error, @r"
    Start fails
      service: db (fake)
      phase: start
      from: program `/fake/db`
      needed by: shop
    ");
    assert_eq!(stage.calls(Step::Create, "shop"), []);
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn other_tests_are_not_affected() {
    let stage = Stage::new([service("db").attempts(1), service("cache")]);
    stage.fails(Step::Start, "db");
    let (failed, passed) = tokio::join!(
        stage.acquire("a", [own("db"), own("cache")]),
        stage.acquire("b", [own("cache")])
    );
    assert!(failed.is_err());
    assert!(passed.is_ok());
    // The test that failed still owns what did start.
    assert_eq!(stage.fake.services(), ["cache", "cache"]);
    stage.release("a").await;
    stage.release("b").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_shared_service_that_failed_is_not_started_again() {
    let stage = Stage::new([service("db").attempts(1), service("shop").needs(&["db"])]);
    stage.fails_times(Step::Start, "db", 1);
    for (number, lease) in [slice("db"), shared("db"), shared("shop")]
        .into_iter()
        .enumerate()
    {
        let test = format!("t{number}");
        let error = stage.acquire(&test, [lease]).await.unwrap_err();
        assert_eq!(error.message(), "Start fails");
        stage.release(&test).await;
    }
    assert_eq!(stage.calls(Step::Create, "db").len(), 1);
    // A test that wants one of its own may well get it.
    stage.acquire("own", [own("db")]).await.unwrap();
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_exits_fails_at_once() {
    let stage = Stage::new([service("db").asks_plugin()]);
    stage.fails(Step::PluginReady, "db");
    stage.fake.ends("db", Duration::from_secs(2), 1);
    let error = stage.acquire("a", [own("db")]).await.unwrap_err();
    assert_eq!(
        error.message(),
        "service `db` exited with code 1 before it was ready"
    );
    assert_eq!(stage.now(), 2);
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn where_the_backend_knows_why_it_exited_that_is_the_error() {
    let stage = Stage::new([service("db").asks_plugin().attempts(3)]);
    stage.fails(Step::PluginReady, "db");
    stage.fake.ends("db", Duration::from_secs(2), 1);
    let why = CleanroomError::container_error("port 20101 is taken").with_hint("try again");
    stage.fake.explains("db", why.transient());
    let error = stage.acquire("a", [own("db")]).await.unwrap_err();
    // It is worth further attempts, which a mere exit is not.
    assert_eq!(stage.calls(Step::Create, "db").len(), 3);
    assert_snapshot!(error, @r"
    port 20101 is taken
      service: db
      phase: ready
      program: /fake/db
      elapsed: 2.0s
      log: to stdout
        to stderr
      attempts: 3
      hint: try again
    ");
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_an_error_and_is_given_back() {
    let tracker = ResourceTracker::default().with_limit("service", 2);
    let stage = Stage::limited([service("db")], tracker);
    for test in ["a", "b"] {
        stage.acquire(test, [own("db")]).await.unwrap();
    }
    let error = stage.acquire("c", [own("db")]).await.unwrap_err();
    assert_snapshot!(error, @r"
    no service is left: all 2 are held
      held by: db of it a, db of it b
      service: db (fake)
      phase: create
      from: program `/fake/db`
      hint: run fewer tests at once with `-j`, or raise the limit
    ");
    stage.release("a").await;
    stage.release("c").await;
    stage.acquire("d", [own("db")]).await.unwrap();
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_slice_that_cannot_be_dropped_is_told_once() {
    let stage = Stage::new([service("db")]);
    stage.fails(Step::PluginDropSlice, "db");
    stage.acquire("a", [slice("db")]).await.unwrap();
    let errors = stage.engine.release(&owner("a"), Keep::Nothing).await;
    assert_eq!(errors.len(), 1);
    assert_snapshot!(errors[0], @r"
    PluginDropSlice fails
      service: db
      phase: drop slice
    ");
    assert!(
        stage
            .engine
            .release(&owner("a"), Keep::Nothing)
            .await
            .is_empty()
    );
    // It goes with its instance in the end.
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_stop_is_removed_and_told() {
    let stage = Stage::new([service("db"), service("shop").needs(&["db"])]);
    stage.fails(Step::Stop, "shop");
    stage
        .acquire("a", [own("shop"), implied(own("db"))])
        .await
        .unwrap();
    let errors = stage.engine.release(&owner("a"), Keep::Nothing).await;
    assert_eq!(errors.len(), 1);
    assert_snapshot!(errors[0], @r"
    Stop fails
      service: shop
      phase: stop
    ");
    stage.is_empty();
}
