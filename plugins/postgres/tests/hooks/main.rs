//! The plugin's hooks against a real server.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

#[path = "../../../support/server.rs"]
mod server;
mod session;
mod slice;
mod template;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use clnrm_postgres::tokio_postgres::{Client, SimpleQueryMessage};
use clnrm_postgres::{Postgres, PostgresPlugin, plugin};
use clnrm_runtime::service::SliceId;
use clnrm_runtime::{ErrorKind, ServiceHandle, ServicePlugin};
use server::Server;

/// One server for the tests that run at the same time; the last of them stops it.
fn server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start(&plugin()));
        *shared = Arc::downgrade(&server);
        server
    })
}

/// A plugin whose template is that of this test alone.
fn marked(test: &str) -> PostgresPlugin {
    plugin().init_sql(format!("SELECT '{test}'")).database(test)
}

fn id(test: &str, number: u32) -> SliceId {
    SliceId {
        name: format!("clnrm_{test}_{number}"),
        number,
    }
}

/// The handle of a database, as the test that owns it would have it.
fn handle_of(server: &Server, database: &str) -> Postgres {
    let mut handle = serde_json::to_value(server.handle()).unwrap();
    handle["core"]["vars"]["database"]["value"] = database.into();
    Postgres::from(serde_json::from_value::<ServiceHandle>(handle).unwrap())
}

async fn connect(server: &Server, database: &str) -> Client {
    handle_of(server, database).connect().await.unwrap()
}

/// The first column of the first row of the last statement.
async fn ask(client: &Client, sql: &str) -> Option<String> {
    let answer = client.simple_query(sql).await.unwrap();
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    rows.last()
}

async fn count(server: &Server, databases_like: &str) -> String {
    let admin = connect(server, "postgres").await;
    let sql = format!("SELECT count(*) FROM pg_database WHERE datname LIKE '{databases_like}'");
    ask(&admin, &sql).await.unwrap()
}

fn with_files(files: &[(&str, &str)]) -> (tempfile::TempDir, PostgresPlugin) {
    let base = tempfile::tempdir().unwrap();
    for (path, sql) in files {
        let path = base.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, sql).unwrap();
    }
    let mut plugin = plugin();
    plugin.base_dir(base.path());
    (base, plugin)
}

#[tokio::test]
async fn the_server_is_ready_with_its_configuration() {
    let plugin = plugin()
        .config("work_mem", "5MB")
        .credentials("shop", "s3cret word");
    let server = Server::start(&plugin);
    let client = connect(&server, "postgres").await;
    assert_eq!(ask(&client, "SHOW work_mem").await.unwrap(), "5MB");
    assert_eq!(ask(&client, "SHOW fsync").await.unwrap(), "off");
    assert_eq!(ask(&client, "SHOW timezone").await.unwrap(), "UTC");
    assert_eq!(ask(&client, "SELECT current_user").await.unwrap(), "shop");
    assert_eq!(ask(&client, "SELECT lower('Ä')").await.unwrap(), "ä");
    let arguments = fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains("s3cret"));
    assert!(!server.log().contains("s3cret"));
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let server = server();
    let mut handle = serde_json::to_value(server.handle()).unwrap();
    handle["core"]["vars"]["userinfo"]["value"] = "postgres:wrong@".into();
    let error = plugin()
        .ready(&serde_json::from_value(handle).unwrap())
        .unwrap_err();
    assert!(error.message().contains("28P01"), "{error:?}");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("another server may have taken the port"),
        "{error:?}"
    );
    assert!(!error.report().contains("wrong@"), "{error:?}");
}

#[tokio::test]
async fn a_dead_server_is_not_ready() {
    let server = Server::start(&plugin());
    let handle = server.handle();
    drop(server);
    let error = plugin().ready(&handle).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Service, "PostgreSQL cannot connect")
    );
}

#[tokio::test]
async fn data_survives_a_restart_unlogged_tables_included() {
    let plugin = plugin();
    let mut server = Server::start(&plugin);
    plugin.migrate(&server.handle()).unwrap();
    let client = connect(&server, "app").await;
    client
        .batch_execute("CREATE UNLOGGED TABLE kept AS SELECT 7 AS n")
        .await
        .unwrap();
    server.restart(&plugin);
    let client = connect(&server, "app").await;
    assert_eq!(ask(&client, "SELECT n FROM kept").await.unwrap(), "7");
}

#[tokio::test]
async fn a_stopped_server_leaves_no_shared_memory() {
    let before = segments();
    let server = Server::start(&plugin());
    let id = fs::read_to_string(server.dir().join("data/postmaster.pid")).unwrap();
    let id = id
        .lines()
        .nth(6)
        .unwrap()
        .split_whitespace()
        .last()
        .unwrap()
        .to_owned();
    assert!(segments().contains(&id) && !before.contains(&id));
    drop(server);
    assert!(!segments().contains(&id), "segment {id} is left");
}

/// The System V shared memory of this machine, by id.
fn segments() -> Vec<String> {
    let table = fs::read_to_string(Path::new("/proc/sysvipc/shm")).unwrap();
    let ids = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1));
    ids.map(str::to_owned).collect()
}
