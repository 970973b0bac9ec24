//! Databases of tests, cloned and dropped.

use super::*;

#[tokio::test]
async fn two_slices_never_see_each_other() {
    let server = server();
    let plugin = marked("two").init_sql("CREATE TABLE stock (n int)");
    plugin.migrate(&server.handle()).unwrap();
    let slices = [1, 2].map(|number| plugin.slice(&server.handle(), &id("two", number)).unwrap());
    let [one, two] = slices
        .each_ref()
        .map(|slice| slice.vars["database"].value.clone());
    let (one, two) = (connect(&server, &one).await, connect(&server, &two).await);
    one.batch_execute("INSERT INTO stock VALUES (1)")
        .await
        .unwrap();
    assert_eq!(ask(&two, "SELECT count(*) FROM stock").await.unwrap(), "0");
    for slice in &slices {
        plugin.drop_slice(&server.handle(), slice).unwrap();
    }
}

#[tokio::test]
async fn a_dropped_slice_takes_its_connections_with_it() {
    let server = server();
    let plugin = marked("dropped");
    plugin.migrate(&server.handle()).unwrap();
    let slice = plugin.slice(&server.handle(), &id("dropped", 1)).unwrap();
    let client = connect(&server, &slice.id.name).await;
    plugin.drop_slice(&server.handle(), &slice).unwrap();
    assert!(client.simple_query("SELECT 1").await.is_err());
    assert_eq!(count(&server, "clnrm\\_dropped\\_1").await, "0");
    plugin.drop_slice(&server.handle(), &slice).unwrap();
}

/// One open connection to what is cloned costs five seconds and an error; to a
/// template of ours there is none, however many are cloned at once.
#[tokio::test]
async fn clones_at_once_never_meet_a_template_in_use() {
    let server = server();
    let plugin = marked("many");
    plugin.migrate(&server.handle()).unwrap();
    let handle = server.handle();
    for round in 0..3 {
        std::thread::scope(|scope| {
            for number in 1..=8 {
                let (plugin, handle) = (&plugin, &handle);
                scope.spawn(move || {
                    let id = id("many", round * 8 + number);
                    let slice = plugin.slice(handle, &id).unwrap();
                    plugin.drop_slice(handle, &slice).unwrap();
                });
            }
        });
    }
}

#[tokio::test]
async fn a_sweep_removes_stale_slices_alone() {
    let server = server();
    let plugin = marked("sweep");
    plugin.migrate(&server.handle()).unwrap();
    let [stale, live] = [1, 2].map(|number| {
        plugin
            .slice(&server.handle(), &id("sweep", number))
            .unwrap()
    });
    let building = "clnrm_tpl_0_building";
    let admin = connect(&server, "postgres").await;
    let create = format!("CREATE DATABASE {building}");
    admin.batch_execute(&create).await.unwrap();
    let is_stale = |name: &str| name == stale.id.name || name.starts_with("clnrm_tpl_");
    let swept = plugin.sweep(&server.handle(), &is_stale).unwrap();
    assert_eq!(swept, [stale.id.name.as_str()]);
    assert_eq!(count(&server, building).await, "1");
    connect(&server, &live.id.name).await;
    assert_eq!(count(&server, "clnrm\\_sweep\\_%").await, "1");
    plugin.slice(&server.handle(), &id("sweep", 3)).unwrap();
}

#[tokio::test]
async fn an_external_server_keeps_its_own_database() {
    let server = server();
    let admin = connect(&server, "postgres").await;
    for sql in [
        "CREATE ROLE guest LOGIN CREATEDB PASSWORD 'p@ss'",
        "CREATE DATABASE theirs OWNER guest",
    ] {
        admin.batch_execute(sql).await.unwrap();
    }
    let port = server.handle().port().unwrap();
    let url = format!("postgres://guest:p%40ss@127.0.0.1:{port}/theirs");
    let plugin = marked("guest").init_sql("CREATE TABLE stock ()");
    let external = plugin.external(&url).unwrap();
    let handle = ServiceHandle::external("db", &plugin.spec().unwrap().unwrap(), external);
    plugin.ready(&handle).unwrap();
    plugin.migrate(&handle).unwrap();
    let slice = plugin.slice(&handle, &id("guest", 1)).unwrap();
    let url = url.replace("/theirs", &format!("/{}", slice.id.name));
    let external = plugin.external(&url).unwrap();
    let spec = plugin.spec().unwrap().unwrap();
    let guest = Postgres::from(ServiceHandle::external("db", &spec, external));
    let client = guest.connect().await.unwrap();
    assert_eq!(
        ask(&client, "SELECT to_regclass('stock')").await.as_deref(),
        Some("stock")
    );
    let theirs = connect(&server, "theirs").await;
    assert_eq!(ask(&theirs, "SELECT to_regclass('stock')").await, None);
    assert_eq!(count(&server, "guest").await, "0");
    plugin.drop_slice(&handle, &slice).unwrap();
    assert_eq!(count(&server, "clnrm\\_guest\\_1").await, "0");
}
