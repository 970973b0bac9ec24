//! How SQL becomes a template, once.

use super::*;

#[tokio::test]
async fn init_scripts_and_migrations_run_in_order() {
    let server = server();
    let (_base, plugin) = with_files(&[
        (
            "init.sql",
            "CREATE TABLE log (step text); INSERT INTO log VALUES ('file')",
        ),
        ("db/V10__last.sql", "INSERT INTO log VALUES ('ten')"),
        ("db/V2__first.sql", "INSERT INTO log VALUES ('two')"),
        ("db/V3__third/up.sql", "INSERT INTO log VALUES ('three')"),
        ("db/V3__third/down.sql", "DROP TABLE log"),
        ("db/V2__first.down.sql", "DROP TABLE log"),
        ("db/notes.txt", "not SQL"),
    ]);
    let plugin = plugin
        .init_script("init.sql")
        .init_sql("INSERT INTO log VALUES ('text')")
        .migrations("db")
        .database("order_test");
    plugin.migrate(&server.handle()).unwrap();
    let client = connect(&server, "order_test").await;
    let order = ask(
        &client,
        "SELECT string_agg(step, ' ' ORDER BY ctid) FROM log",
    )
    .await;
    assert_eq!(order.unwrap(), "file text two three ten");
}

#[tokio::test]
async fn an_instance_has_its_own_migrated_database_once() {
    let server = server();
    let plugin = marked("own");
    plugin.migrate(&server.handle()).unwrap();
    let client = connect(&server, "own").await;
    client.batch_execute("CREATE TABLE kept ()").await.unwrap();
    plugin.migrate(&server.handle()).unwrap();
    assert_eq!(
        ask(&client, "SELECT to_regclass('kept')").await.as_deref(),
        Some("kept")
    );
}

#[tokio::test]
async fn nobody_can_connect_to_a_template() {
    let server = server();
    let plugin = marked("closed");
    plugin.migrate(&server.handle()).unwrap();
    let admin = connect(&server, "postgres").await;
    let sql = "SELECT count(*) FROM pg_database WHERE datname LIKE 'clnrm\\_tpl\\_%'";
    let whole =
        format!("{sql} AND datname NOT LIKE '%building' AND (datallowconn OR NOT datistemplate)");
    assert_eq!(ask(&admin, &whole).await.unwrap(), "0");
    let sql =
        "SELECT datname FROM pg_database WHERE datname LIKE 'clnrm\\_tpl\\_%' AND datistemplate";
    let name = ask(&admin, sql).await.unwrap();
    let error = handle_of(&server, &name).connect().await.unwrap_err();
    assert!(
        error
            .message()
            .contains("not currently accepting connections"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_template_is_built_once_by_many_at_once() {
    let server = server();
    let counted = marked("once").init_sql("CREATE TABLE built AS SELECT pg_backend_pid() AS pid");
    std::thread::scope(|scope| {
        for number in 1..=4 {
            let (plugin, handle) = (counted.clone(), server.handle());
            scope.spawn(move || {
                plugin.migrate(&handle).unwrap();
                plugin.slice(&handle, &id("once", number)).unwrap();
            });
        }
    });
    let mut builders = Vec::new();
    for number in 1..=4 {
        let client = connect(&server, &id("once", number).name).await;
        builders.push(ask(&client, "SELECT pid FROM built").await.unwrap());
    }
    builders.dedup();
    assert_eq!(builders.len(), 1, "{builders:?}");
}

#[test]
fn one_server_is_prepared_by_several_at_once() {
    let server = server();
    let plugins = ["role-1", "role-2", "role-3", "role-4"].map(marked);
    for plugin in &plugins {
        plugin.migrate(&server.handle()).unwrap();
    }
    // The templates are there: what is left is done by each of them.
    std::thread::scope(|scope| {
        for plugin in &plugins {
            let handle = server.handle();
            scope.spawn(move || {
                for _ in 0..16 {
                    plugin.migrate(&handle).unwrap();
                }
            });
        }
    });
}

#[tokio::test]
async fn what_a_killed_run_left_half_built_is_built_anew() {
    // No other test builds here: the template that is new is this one's.
    let server = Server::start(&plugin());
    let plugin = marked("half");
    plugin.migrate(&server.handle()).unwrap();
    let admin = connect(&server, "postgres").await;
    let slice = plugin.slice(&server.handle(), &id("half", 1)).unwrap();
    plugin.drop_slice(&server.handle(), &slice).unwrap();
    let changed = marked("half").init_sql("SELECT 'changed'");
    // Its name is not known here: see which one a first build makes.
    let templates =
        "SELECT array_agg(datname) FROM pg_database WHERE datname LIKE 'clnrm\\_tpl\\_%'";
    let before = ask(&admin, templates).await.unwrap();
    changed.migrate(&server.handle()).unwrap();
    let sql = format!(
        "SELECT datname FROM pg_database WHERE datname LIKE 'clnrm\\_tpl\\_%'
         AND datname <> ALL ('{before}') AND datname NOT LIKE '%building' ORDER BY oid DESC LIMIT 1"
    );
    let name = ask(&admin, &sql).await.unwrap();
    for sql in [
        format!("ALTER DATABASE {name} IS_TEMPLATE false ALLOW_CONNECTIONS true"),
        format!("ALTER DATABASE {name} RENAME TO {name}_building"),
    ] {
        admin.batch_execute(&sql).await.unwrap();
    }
    let left = connect(&server, &format!("{name}_building")).await;
    left.batch_execute("CREATE TABLE half_done ()")
        .await
        .unwrap();
    changed.migrate(&server.handle()).unwrap();
    let slice = changed.slice(&server.handle(), &id("half", 2)).unwrap();
    let client = connect(&server, &slice.id.name).await;
    assert_eq!(ask(&client, "SELECT to_regclass('half_done')").await, None);
    assert_eq!(count(&server, &format!("{name}\\_building")).await, "0");
}

#[tokio::test]
async fn a_broken_migration_names_file_place_and_code() {
    // No other test builds here: what is left behind is of these two.
    let server = Server::start(&plugin());
    let (_base, plugin) = with_files(&[
        ("db/0001_ok.sql", "CREATE TABLE ok ()"),
        (
            "db/0002_orders.sql",
            "CREATE TABLE orders ();\n-- ä\nALTER TABLE odrers ADD id int;\n",
        ),
    ]);
    let error = plugin
        .migrations("db")
        .migrate(&server.handle())
        .unwrap_err();
    assert_eq!(
        error.message(),
        "`db/0002_orders.sql` failed: relation \"odrers\" does not exist (SQLSTATE 42P01)"
    );
    let (_base, plugin) = with_files(&[("seed.sql", "SELECT 1;\n  SELEC 2;")]);
    let error = plugin
        .init_script("seed.sql")
        .migrate(&server.handle())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`seed.sql` failed at line 2, column 3: syntax error at or near \"SELEC\" (SQLSTATE 42601)\n  \
         line: SELEC 2;"
    );
    assert_eq!(count(&server, "clnrm\\_tpl\\_%building").await, "0");
}

#[tokio::test]
async fn sql_that_changed_during_the_run_is_told() {
    let server = server();
    let error = marked("changed")
        .slice(&server.handle(), &id("changed", 1))
        .unwrap_err();
    assert!(error.hint().unwrap().contains("run again"), "{error:?}");
}
