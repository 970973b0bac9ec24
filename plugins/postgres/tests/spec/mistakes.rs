//! What is wrong with a configuration, and what to do about it.

use std::fs;

use clnrm_postgres::{PostgresPlugin, plugin};
use clnrm_runtime::{ErrorKind, ServicePlugin};

#[track_caller]
fn check_mistake(plugin: &PostgresPlugin, message: &str, hint: &str) {
    let error = plugin.spec().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Validation, message)
    );
    assert!(error.hint().unwrap().contains(hint), "{error}");
}

#[test]
fn missing_and_empty_sources_are_named() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("empty")).unwrap();
    fs::write(base.path().join("empty/1.down.sql"), "").unwrap();
    fs::write(base.path().join("latin1.sql"), b"-- \xe4").unwrap();
    let based = |mut plugin: PostgresPlugin| {
        plugin.base_dir(base.path());
        plugin
    };
    check_mistake(
        &based(plugin().migrations("empty")),
        "there is no migration in `empty`",
        "`*.sql` files",
    );
    let missing = "cannot read `nope`: No such file or directory (os error 2)";
    check_mistake(
        &based(plugin().migrations("nope")),
        missing,
        "a directory of `*.sql` files",
    );
    check_mistake(
        &based(plugin().init_script("nope")),
        missing,
        "a file of SQL",
    );
    let unreadable = "cannot read `latin1.sql`: stream did not contain valid UTF-8";
    check_mistake(
        &based(plugin().init_script("latin1.sql")),
        unreadable,
        "in UTF-8",
    );
}

#[test]
fn invalid_config_says_the_fix() {
    check_mistake(
        &plugin().credentials("", "p"),
        "`` is no name of a user",
        "1 to 63 bytes",
    );
    check_mistake(
        &plugin().credentials("pg_me", "p"),
        "`pg_me` is no name of a user",
        "not `pg_`",
    );
    for user in ["o'neil", "a\"b", "a$b", "a\\b"] {
        check_mistake(
            &plugin().credentials(user, "p"),
            &format!("`{user}` is no name of a user"),
            "none of `\"`, `$`, `'` and `\\`",
        );
    }
    let password = "the password is empty, too long or has a control character";
    check_mistake(
        &plugin().credentials("me", ""),
        password,
        "leave `.credentials(..)` out",
    );
    check_mistake(
        &plugin().database(""),
        "`` is no name of a database",
        "letters, digits",
    );
    check_mistake(
        &plugin().database("postgres"),
        "database `postgres` is not free",
        "another name",
    );
    check_mistake(
        &plugin().tag("1 5"),
        "bad image reference `postgres:1 5`: the tag is malformed",
        "a tag has",
    );
    check_mistake(
        &plugin().image("postgres"),
        "bad image reference `postgres`: it has no tag",
        "postgres:15",
    );
    check_mistake(
        &plugin().named(""),
        "`` is no name of a service",
        "orders-db",
    );
    check_mistake(
        &plugin().config("port", "1"),
        "setting `port` is not free",
        "up to the backend",
    );
    check_mistake(
        &plugin().config("a b", "1"),
        "`a b` is no setting of PostgreSQL",
        "work_mem",
    );
    check_mistake(
        &plugin().with_env("A=B", "1"),
        "`A=B` is no name of an environment variable",
        "apart",
    );
    check_mistake(
        &plugin().with_env("POSTGRES_DB", "x"),
        "variable `POSTGRES_DB` is not free",
        ".database(..)",
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let error = plugin()
        .database("")
        .credentials("", "")
        .migrations("nope")
        .spec()
        .unwrap_err();
    assert_eq!(error.message(), "`postgres` is misconfigured in 4 places");
}
