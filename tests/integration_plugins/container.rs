//! The plugins' own containers: what the engine says of them, what they hold, and how they end.

use clnrm::postgres::Postgres;
use clnrm::redis::Redis;
use clnrm::{HealthStatus, ServiceHandle, ServicePlugin};
use clnrm_redis::redis::{Connection, cmd};
use clnrm_runtime::label;
use clnrm_runtime::lifecycle::{Retry, retry};

use crate::engine::{docker, engine_or_skip, inspect, labelled};

fn connect(handle: &ServiceHandle) -> Connection {
    let client = Redis::from(handle.clone()).client().unwrap();
    client.get_connection().unwrap()
}

#[tokio::test]
async fn the_handle_of_a_postgres_is_what_the_engine_says() {
    engine_or_skip!();
    let plugin = clnrm::postgres::plugin().credentials("shop", "s3cret");
    let handle = plugin.start().unwrap();
    let id = &handle.metadata["container_id"];
    assert_eq!(handle.container_id(), Some(id.as_str()));
    let container = inspect(id).unwrap();
    assert_eq!(container["State"]["Running"], true);
    // Podman says the name in full, as `localhost/…`.
    let image = container["Config"]["Image"].as_str().unwrap();
    assert!(image.ends_with("clnrm-test/postgres:15"), "{image}");
    let published = &container["NetworkSettings"]["Ports"]["5432/tcp"][0];
    assert_eq!(published["HostPort"], handle.metadata["port"].as_str());
    assert_eq!(published["HostIp"], "127.0.0.1");
    let labels = &container["Config"]["Labels"];
    assert_eq!(labels[label::SERVICE], "postgres");
    plugin.stop(handle.clone()).unwrap();
    assert!(inspect(id).is_none());
    plugin.stop(handle).unwrap();
}

#[tokio::test]
async fn health_is_that_of_the_container() {
    engine_or_skip!();
    let plugin = clnrm::redis::plugin();
    let handle = plugin.start().unwrap();
    assert_eq!(plugin.health_check(&handle).unwrap(), HealthStatus::Healthy);
    handle.pause().await.unwrap();
    let paused = plugin.health_check(&handle).unwrap();
    assert_eq!(paused, HealthStatus::Unhealthy("it is paused".to_owned()));
    handle.unpause().await.unwrap();
    assert_eq!(plugin.health_check(&handle).unwrap(), HealthStatus::Healthy);
    let (removed, _) = docker(&["rm", "--force", "--volumes", handle.container_id().unwrap()]);
    assert!(removed);
    let gone = plugin.health_check(&handle).unwrap();
    assert_eq!(gone, HealthStatus::Unhealthy("it is gone".to_owned()));
    // Somebody else removed it: there is nothing left to complain about.
    plugin.stop(handle).unwrap();
}

#[tokio::test]
async fn postgres_is_initialised_and_pooled() {
    engine_or_skip!();
    let plugin = clnrm::postgres::plugin()
        .database("orders")
        .init_sql("CREATE TABLE stock (n int); INSERT INTO stock VALUES (7)");
    let handle = plugin.start().unwrap();
    assert!(handle.container_id().is_some());
    let pool = Postgres::from(handle.clone()).pool_of(2).unwrap();
    let ask = async |sql| {
        let client = pool.get().await.unwrap();
        client.query_one(sql, &[]).await.unwrap().get::<_, i32>(0)
    };
    assert_eq!(ask("SELECT n FROM stock").await, 7);
    let backend = ask("SELECT pg_backend_pid()").await;
    assert_eq!(ask("SELECT pg_backend_pid()").await, backend);
    assert_eq!(pool.status().size, 1);
    let both = [pool.get().await.unwrap(), pool.get().await.unwrap()];
    assert_eq!((pool.status().size, pool.status().available), (2, 0));
    drop(both);
    drop(pool);
    plugin.stop(handle).unwrap();
}

/// A server in a container, whose template is made of a directory of migrations.
#[clnrm::service(clnrm::postgres::plugin().migrations("tests/integration_plugins/migrations"))]
struct Migrated(Postgres);

/// Two tests write the same row where one server was migrated once.
async fn is_migrated_and_alone(db: &Migrated) {
    engine_or_skip!();
    assert!(db.container_id().is_some());
    assert!(db.slice().is_some());
    let client = db.connect().await.unwrap();
    let stock = client.query("SELECT sku, n FROM stock", &[]).await.unwrap();
    let stock: Vec<(String, i32)> = stock.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(stock, [("tea".to_owned(), 7)]);
    let sale = "UPDATE stock SET n = n - 1; INSERT INTO stock VALUES ('coffee', 1)";
    client.batch_execute(sale).await.unwrap();
}

#[clnrm::test]
async fn a_directory_of_migrations_meets_a_container(db: &Migrated) {
    is_migrated_and_alone(db).await;
}

#[clnrm::test]
async fn a_directory_of_migrations_meets_a_container_once(db: &Migrated) {
    is_migrated_and_alone(db).await;
}

/// A Redis that keeps its data.
#[clnrm::service(clnrm::redis::plugin().persistent().config("maxmemory", "64mb"), scope = "test")]
struct Kept(Redis);

#[clnrm::test]
async fn redis_has_its_configuration_and_keeps_its_data(kept: Kept) {
    engine_or_skip!();
    assert!(kept.container_id().is_some());
    let get = |name: &str| -> (String, String) {
        let command = &mut cmd("CONFIG");
        command
            .arg(("GET", name))
            .query(&mut connect(&kept))
            .unwrap()
    };
    assert_eq!(get("maxmemory").1, (64 << 20).to_string());
    assert_eq!(get("appendonly").1, "yes");
    let set = cmd("SET").arg(("k", "v")).query::<()>(&mut connect(&kept));
    set.unwrap();
    kept.restart().await.unwrap();
    let value: String = cmd("GET").arg("k").query(&mut connect(&kept)).unwrap();
    assert_eq!(value, "v");
}

#[tokio::test]
async fn three_attempts_of_a_bad_command_leave_nothing() {
    engine_or_skip!();
    let plugin = clnrm::generic::plugin("clnrm-test/busybox:1")
        .named("three-attempts")
        .entrypoint(["/no/such/program"]);
    let mut errors = Vec::new();
    for _ in 0..3 {
        let started = retry(Retry::new(3), async |_| plugin.start()).await;
        errors.push(started.unwrap_err());
        let left = labelled(&[(label::SERVICE, "three-attempts")]);
        assert_eq!(left, Vec::<String>::new());
    }
    assert!(
        errors
            .iter()
            .all(|error| error.report().contains("/no/such/program")),
        "{errors:?}"
    );
}
