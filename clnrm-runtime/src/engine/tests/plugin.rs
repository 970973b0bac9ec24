//! A service whose `start` and `stop` are written by hand.

use insta::assert_snapshot;

use super::sketch::{by_hand, implied, own, service, shared, slice};
use super::stage::{Stage, end};
use crate::backend::fake::Step;
use crate::error::CleanroomError;
use crate::lifecycle::LifecycleState;
use crate::service::HealthStatus;

#[tokio::test(start_paused = true)]
async fn its_plugin_starts_and_stops_it() {
    let stage = Stage::new([by_hand("mail"), service("shop").needs(&["mail"])]);
    stage.takes(Step::PluginStart, "mail", 2);
    stage.takes(Step::PluginStop, "mail", 1);
    stage
        .acquire("a", [own("shop"), own("mail")])
        .await
        .unwrap();
    assert!(stage.call(Step::Create, "shop").begun >= end(&stage.call(Step::PluginStart, "mail")));
    assert_eq!(stage.engine.tracker().count("service"), 2);
    stage.release("a").await;
    assert!(stage.call(Step::PluginStop, "mail").begun >= end(&stage.call(Step::Remove, "shop")));
    let phases = stage.instance_events("mail").pop().unwrap().phases;
    assert_eq!((phases.create.as_secs(), phases.stop.as_secs()), (2, 1));
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn its_handle_is_known_by_the_name_of_the_declaration() {
    let stage = Stage::new([by_hand("mail")]);
    // `Stage::handle` looks at name and key.
    let handle = stage.handle("a", shared("mail")).await;
    assert_eq!(handle.metadata["instance"], "mail by hand 1");
    stage.shutdown().await;
    assert_eq!(stage.calls(Step::PluginStop, "mail").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_in_it_is_told_with_the_service() {
    let stage = Stage::new([by_hand("mail")]);
    let why = CleanroomError::service_error("no licence");
    stage.script.fails(Step::PluginStart, "mail", 1, why);
    let error = stage.acquire("a", [own("mail")]).await.unwrap_err();
    assert_snapshot!(error, @r"
    no licence
      service: mail (fake)
      phase: start
      from: its plugin
    ");
    stage.release("a").await;
    stage.is_empty();
    stage.acquire("b", [own("mail")]).await.unwrap();
    let why = CleanroomError::service_error("it hangs on");
    stage.script.fails(Step::PluginStop, "mail", 1, why);
    let owner = super::stage::owner("b");
    let errors = stage
        .engine
        .release(&owner, crate::engine::Keep::Nothing)
        .await;
    assert_eq!(errors.len(), 1);
    assert_snapshot!(errors[0], @r"
    it hangs on
      service: mail
      phase: stop
    ");
    assert_eq!(stage.states("mail").last(), Some(&LifecycleState::Failed));
    assert_eq!(stage.engine.tracker().list(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn its_health_is_what_it_says_itself() {
    let stage = Stage::new([by_hand("mail")]);
    let handle = stage.handle("a", own("mail")).await;
    assert_eq!(
        stage.engine.health(&handle).await.unwrap(),
        HealthStatus::Healthy
    );
    let sick = HealthStatus::Unhealthy("the queue is full".to_owned());
    stage.hooks.is(sick.clone());
    assert_eq!(stage.engine.health(&handle).await.unwrap(), sick);
    stage.fails(Step::PluginHealth, "mail");
    // That it cannot be told is never healthy.
    assert!(stage.engine.health(&handle).await.is_err());
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn it_is_degraded_like_any_other() {
    let mut mail = by_hand("mail").0;
    mail.needs = service("x").needs_if_there("cache").0.needs;
    let stage = Stage::new([super::sketch::Sketch(mail), service("cache").attempts(1)]);
    stage.fails(Step::Start, "cache");
    let leases = [own("mail"), implied(own("cache"))];
    let leases = stage.acquire("a", leases).await.unwrap();
    let mail = super::stage::handle(&leases, "mail");
    assert_eq!(mail.degraded(), Some("`mail` runs without `cache`"));
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_it_started_through_the_engine_is_ended_through_it() {
    let stage = Stage::new([by_hand("mail"), service("server")]);
    let server = stage.handle("by hand", own("server")).await;
    stage.hooks.starts(server.clone());
    let mail = stage.handle("a", shared("mail")).await;
    assert_eq!(mail.instance(), server.instance());
    // All share it, though nobody shares what it started.
    let error = stage.engine.restart(&mail).await.unwrap_err();
    assert!(error.message().contains("shares the instance"), "{error}");
    let health = stage.engine.health(&mail).await.unwrap();
    assert_eq!(health, HealthStatus::Healthy);
    assert_eq!(stage.calls(Step::PluginHealth, "mail").len(), 1);
    stage.engine.discard(&mail).await.unwrap();
    assert_eq!(stage.fake.services(), Vec::<String>::new());
    // It is gone: once more is no error.
    stage.engine.discard(&mail).await.unwrap();
    stage.shutdown().await;
    assert_eq!(stage.calls(Step::PluginStop, "mail").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_discarded_takes_nothing_else_with_it() {
    let stage = Stage::new([service("db").networked(), service("cache")]);
    let db = stage.handle("a", own("db")).await;
    stage.acquire("a", [slice("cache")]).await.unwrap();
    let cache = stage.handle("b", shared("cache")).await;
    let error = stage.engine.discard(&cache).await.unwrap_err();
    assert_eq!(error.message(), "what the run shares ends with the run");
    stage.engine.discard(&db).await.unwrap();
    assert_eq!(stage.fake.services(), ["cache"]);
    assert_eq!(stage.slices().len(), 1);
    stage.release("a").await;
    assert_eq!(stage.slices(), Vec::<String>::new());
    // The last one of an owner takes its network along.
    let db = stage.handle("c", own("db")).await;
    assert_eq!(stage.fake.left().len(), 3);
    stage.engine.discard(&db).await.unwrap();
    assert_eq!(stage.fake.left().len(), 1);
    stage.shutdown().await;
}
