//! The plugin through the engine of this process, as any `#[tokio::test]` starts it by hand.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

use clnrm_postgres::tokio_postgres::Client;
use clnrm_postgres::{Postgres, plugin};
use clnrm_runtime::{ErrorKind, ServiceHandle, ServicePlugin};

async fn connect(handle: &ServiceHandle) -> Client {
    Postgres::from(handle.clone()).connect().await.unwrap()
}

#[tokio::test]
async fn a_start_by_hand_is_ready_migrated_and_says_where_it_is() {
    let plugin = plugin()
        .named("orders-db")
        .credentials("shop", "s3cret")
        .database("orders")
        .init_sql("CREATE TABLE stock (n int)");
    let handle = plugin.start().unwrap();
    assert_eq!(handle.service_name, "orders-db");
    assert_eq!(handle.metadata["username"], "shop");
    assert_eq!(handle.metadata["database"], "orders");
    assert!(plugin.health_check(&handle).unwrap().is_healthy());
    let client = connect(&handle).await;
    client
        .batch_execute("INSERT INTO stock VALUES (1)")
        .await
        .unwrap();
    plugin.stop(handle).unwrap();
}

#[tokio::test]
async fn startup_failure_shows_what_the_server_said() {
    let error = plugin().config("work_mem", "nonsense").start().unwrap_err();
    assert!(
        [ErrorKind::Container, ErrorKind::Service].contains(&error.kind()),
        "{error:?}"
    );
    assert!(error.report().contains("work_mem"), "{error:?}");
    assert!(!error.report().contains("clnrm-loopback-only"), "{error:?}");
}

#[tokio::test]
async fn startup_failure_of_a_migration_names_the_place() {
    let error = plugin().init_sql("SELEC 1").start().unwrap_err();
    assert!(
        error
            .report()
            .contains("`init script 1` failed at line 1, column 1"),
        "{error:?}"
    );
}

#[tokio::test]
async fn health_failure_is_told_when_the_server_refuses() {
    let handle = plugin().start().unwrap();
    let client = connect(&handle).await;
    client
        .batch_execute("ALTER ROLE postgres PASSWORD 'other'")
        .await
        .unwrap();
    let status = plugin().health_check(&handle).unwrap();
    assert!(!status.is_healthy(), "{status}");
    plugin().stop(handle).unwrap();
}

#[tokio::test]
async fn cleanup_leaves_nothing_that_answers() {
    let handle = plugin().start().unwrap();
    let client = connect(&handle).await;
    plugin().stop(handle.clone()).unwrap();
    assert!(client.simple_query("SELECT 1").await.is_err());
    plugin().ready(&handle).unwrap_err();
    plugin().stop(handle).unwrap();
}

#[tokio::test]
async fn port_conflict_cannot_happen_between_two_of_them() {
    let [one, two] = [(), ()].map(|()| plugin().start().unwrap());
    assert_ne!(one.port().unwrap(), two.port().unwrap());
    connect(&one)
        .await
        .batch_execute("CREATE TABLE mine ()")
        .await
        .unwrap();
    let there = connect(&two)
        .await
        .query_one("SELECT to_regclass('mine') IS NULL", &[])
        .await;
    assert!(there.unwrap().get::<_, bool>(0));
    for handle in [one, two] {
        plugin().stop(handle).unwrap();
    }
}

#[tokio::test]
async fn invalid_config_starts_nothing() {
    let error = plugin().database("").start().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Validation, "`` is no name of a database")
    );
}
