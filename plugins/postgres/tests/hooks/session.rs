//! Each file of SQL in a session of its own, as if psql had been given it.

use super::*;

/// The error of these files on a server that nothing else builds on, and that
/// has nothing half-done afterwards.
async fn refused(files: &[(&str, &str)]) -> clnrm_runtime::CleanroomError {
    let server = Server::start(&plugin());
    let (_base, plugin) = with_files(files);
    let error = plugin
        .migrations("db")
        .migrate(&server.handle())
        .unwrap_err();
    assert_eq!(count(&server, "clnrm\\_%").await, "0");
    assert_eq!(count(&server, "app").await, "0");
    error
}

#[tokio::test]
async fn a_file_that_leaves_a_transaction_open_is_named() {
    for sql in [
        "BEGIN; CREATE TABLE a ();",
        "COMMIT; BEGIN",
        "BEGIN; SAVEPOINT s; RELEASE SAVEPOINT s",
    ] {
        let files = [
            ("db/1_open.sql", sql),
            ("db/2_next.sql", "CREATE TABLE b ()"),
        ];
        assert_eq!(
            refused(&files).await.to_string(),
            "`db/1_open.sql` leaves a transaction open\n  \
             hint: it has a `BEGIN` without `COMMIT`: add that, or leave both out, since a file is a transaction of its own"
        );
    }
}

#[tokio::test]
async fn a_file_may_have_transactions_of_its_own() {
    let server = server();
    let (_base, plugin) = with_files(&[
        ("db/1.sql", "BEGIN; CREATE TABLE kept (); COMMIT;"),
        ("db/2.sql", "BEGIN; CREATE TABLE gone (); ROLLBACK;"),
        ("db/3.sql", "CREATE TABLE plain ();"),
    ]);
    let plugin = plugin.migrations("db").database("transactions");
    plugin.migrate(&server.handle()).unwrap();
    let client = connect(&server, "transactions").await;
    let tables = "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(ask(&client, tables).await.unwrap(), "kept plain");
}

/// A dump of pg_dump begins with an empty `search_path`.
#[tokio::test]
async fn what_a_file_sets_ends_with_it() {
    let server = server();
    let (_base, plugin) = with_files(&[
        (
            "dump.sql",
            "SELECT pg_catalog.set_config('search_path', '', false); CREATE TABLE public.one ();
             SET row_security = off; CREATE TEMP TABLE scratch (); PREPARE q AS SELECT 1",
        ),
        (
            "db/1.sql",
            "CREATE TABLE two (); CREATE TEMP TABLE scratch (); PREPARE q AS SELECT 1;
             CREATE TABLE seen AS SELECT current_setting('row_security') AS security",
        ),
        (
            "db/2.sql",
            "CREATE SCHEMA s; SET search_path = s; SET ROLE pg_monitor",
        ),
        ("db/3.sql", "CREATE TABLE three ()"),
    ]);
    let plugin = plugin.init_script("dump.sql").migrations("db");
    let plugin = plugin.database("fresh");
    plugin.migrate(&server.handle()).unwrap();
    let client = connect(&server, "fresh").await;
    let tables = "SELECT string_agg(format('%s.%s:%s', schemaname, tablename, tableowner), ' ' ORDER BY tablename)
        FROM pg_tables WHERE schemaname IN ('public', 's')";
    assert_eq!(
        ask(&client, tables).await.unwrap(),
        "public.one:postgres public.seen:postgres public.three:postgres public.two:postgres"
    );
    assert_eq!(
        ask(&client, "SELECT security FROM seen").await.unwrap(),
        "on"
    );
}

/// As it does for the next file that psql is given.
#[tokio::test]
async fn what_a_file_sets_for_the_database_holds_for_the_next() {
    let server = server();
    let (_base, plugin) = with_files(&[
        (
            "db/1.sql",
            "CREATE SCHEMA s; DO $$ BEGIN
                EXECUTE format('ALTER DATABASE %I SET search_path = s', current_database());
             END $$",
        ),
        ("db/2.sql", "CREATE TABLE there ()"),
    ]);
    let plugin = plugin.migrations("db").database("lasting");
    plugin.migrate(&server.handle()).unwrap();
    let client = connect(&server, "lasting").await;
    assert_eq!(
        ask(&client, "SELECT to_regclass('s.there')")
            .await
            .as_deref(),
        Some("s.there")
    );
}

#[tokio::test]
async fn a_byte_order_mark_is_not_sql() {
    let server = server();
    let (_base, plugin) = with_files(&[
        ("db/1.sql", "\u{feff}CREATE TABLE marked ();"),
        ("db/2.sql", "\u{feff}"),
    ]);
    let plugin = plugin
        .init_sql("\u{feff}SELECT 1")
        .migrations("db")
        .database("windows");
    plugin.migrate(&server.handle()).unwrap();
    let client = connect(&server, "windows").await;
    assert_eq!(
        ask(&client, "SELECT to_regclass('marked')")
            .await
            .as_deref(),
        Some("marked")
    );
}

#[tokio::test]
async fn what_only_psql_understands_is_explained() {
    for sql in [
        "SELECT 1;\n\\connect app\n",
        "CREATE TABLE p (n int, s text);\nCOPY public.p (n, s) FROM stdin;\n1\tx\n2\ty\n\\.\n",
        "CREATE TABLE p (n int);\ncopy p from  STDIN with (format csv);\n",
    ] {
        let error = refused(&[("db/1_dump.sql", sql)]).await;
        assert!(error.message().contains("db/1_dump.sql"), "{error:?}");
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("pg_dump --inserts"), "{error:?}");
    }
}
