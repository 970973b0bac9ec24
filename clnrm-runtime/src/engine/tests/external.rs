//! Somebody else's server is used, sliced and swept, and never started or stopped.

use insta::assert_snapshot;

use super::sketch::{external, implied, own, service, shared, slice};
use super::stage::{Stage, end, owner};
use crate::backend::BackendKind;
use crate::backend::fake::Step;
use crate::engine::Keep;
use crate::service::HealthStatus;

#[tokio::test(start_paused = true)]
async fn it_is_swept_and_migrated_once_and_sliced_for_each_test() {
    let stage = Stage::new([external("db").migrates()]);
    for test in ["a", "b"] {
        let handle = stage.handle(test, slice("db")).await;
        assert_eq!(handle.backend(), BackendKind::External);
        let name = handle.slice().unwrap().id.name.clone();
        assert_eq!(handle.url().unwrap(), format!("db://db.test:1234/{name}"));
    }
    stage.release("a").await;
    assert_eq!(stage.slices().len(), 1);
    stage.shutdown().await;
    assert_snapshot!(stage.script.changes().join("\n"), @r"
    PluginExternal db
    PluginSweep db
    PluginMigrate db
    PluginSlice db
    PluginSlice db
    PluginDropSlice db
    PluginDropSlice db
    ");
    assert_eq!(stage.calls(Step::PluginReady, "db").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn slices_that_were_kept_are_dropped_at_the_end() {
    let stage = Stage::new([external("db").sliced_by_the_run()]);
    stage.handle("a", slice("db")).await;
    stage.handle("b", shared("db")).await;
    stage
        .engine
        .release(&owner("a"), Keep::WhileTheRunLasts)
        .await;
    stage.release("b").await;
    assert_eq!(stage.slices().len(), 2);
    stage.shutdown().await;
    assert_eq!(stage.calls(Step::PluginDropSlice, "db").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn slices_are_dropped_before_their_users_servers_stop() {
    let stage = Stage::new([external("db"), service("shop").needs(&["db"])]);
    let leases = [own("shop"), implied(slice("db"))];
    stage.takes(Step::Stop, "shop", 1);
    stage.acquire("a", leases.clone()).await.unwrap();
    let url = &stage.fake.requests("shop")[0].needs["db.url"];
    assert!(url.starts_with("db://db.test:1234/clnrm_"), "{url}");
    stage.release("a").await;
    // A server that still writes would write into nothing.
    let stopped = end(&stage.call(Step::Remove, "shop"));
    assert!(stage.call(Step::PluginDropSlice, "db").begun >= stopped);
    stage.acquire("b", leases).await.unwrap();
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_answer_says_which_variable_to_look_at() {
    let stage = Stage::new([external("orders-db")]);
    stage.fails(Step::PluginReady, "orders-db");
    let error = stage.acquire("a", [own("orders-db")]).await.unwrap_err();
    assert_snapshot!(error, @r"
    PluginReady fails
      service: orders-db (fake)
      phase: ready
      from: `CLNRM_ORDERS_DB_URL`
      attempts: 3
      hint: check `CLNRM_ORDERS_DB_URL`
    ");
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_is_given_up() {
    for step in [Step::PluginExternal, Step::PluginReady, Step::PluginMigrate] {
        let stage = Stage::new([external("db").migrates()]);
        stage.script.hangs(step, "db");
        let error = stage.acquire("a", [slice("db")]).await.unwrap_err();
        assert!(error.message().contains("took longer than 60s"), "{error}");
        assert_eq!(stage.now(), 60);
        stage.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn old_slices_that_cannot_be_removed_do_not_fail_the_tests() {
    let stage = Stage::new([external("db")]);
    stage.fails(Step::PluginSweep, "db");
    stage.acquire("a", [slice("db")]).await.unwrap();
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn its_health_is_what_its_plugin_says_or_unknown() {
    let stage = Stage::new([external("db").asks_plugin(), external("mail")]);
    let db = stage.handle("a", own("db")).await;
    assert_eq!(
        stage.engine.health(&db).await.unwrap(),
        HealthStatus::Healthy
    );
    stage.fails(Step::PluginReady, "db");
    let health = stage.engine.health(&db).await.unwrap();
    assert_eq!(
        health,
        HealthStatus::Unhealthy("PluginReady fails".to_owned())
    );
    // Nobody has asked it anything: that is not healthy.
    let mail = stage.handle("a", own("mail")).await;
    assert_eq!(
        stage.engine.health(&mail).await.unwrap(),
        HealthStatus::Unknown
    );
    stage.shutdown().await;
}
