//! Expansions of `#[clnrm::test]`.

use crate::root::Root;
use crate::snapshot::{assert_text, pretty, tokens};

#[track_caller]
fn check(name: &str, arguments: &str, item: &str) {
    let expansion = super::test(&Root::facade(), tokens(arguments), &tokens(item));
    assert_text!(name, pretty(expansion));
}

#[test]
fn every_form_of_a_parameter() {
    check(
        "parameters",
        "",
        "async fn two(shop: Shop, db: &Postgres, mut cache: Option<Redis>, _: &Option<Mail>) -> Result<(), E> {
            shop.buy(&db).await
        }",
    );
}

#[test]
fn every_option() {
    check(
        "options",
        "timeout = \"30s\", flavor = \"multi_thread\", worker_threads = 2, shared(db, app), crate = ::own::clnrm",
        "pub(crate) async fn all(app: App, db: Db) {}",
    );
}

#[test]
fn a_sync_test_of_nothing() {
    check("sync", "", "fn nothing() {}");
}

#[test]
fn a_fresh_test_on_one_thread() {
    check(
        "fresh",
        "fresh, flavor = \"current_thread\"",
        "async fn one(db: Db) {}",
    );
}

#[test]
fn attributes_are_sorted() {
    check(
        "attributes",
        "",
        "/// Documented.
        #[ignore = \"slow\"]
        #[should_panic(expected = \"on purpose\")]
        #[cfg(unix)]
        #[expect(clippy::panic, reason = \"it should\")]
        #[serial_test::serial]
        #[cfg_attr(miri, ignore, traced)]
        async fn fails(db: Db) {
            panic!(\"on purpose\")
        }",
    );
}

#[test]
fn a_conditional_ignore_is_known_to_the_descriptor() {
    check(
        "ignored_if",
        "",
        "#[cfg_attr(miri, ignore)] #[cfg_attr(windows, ignore)] fn slow() {}",
    );
}

#[test]
fn a_function_with_mistakes_stays() {
    check(
        "mistakes",
        "timeout = 30, tymeout = \"1s\"",
        "#[ignore] fn generic<T>(db: &mut Db) { body() }",
    );
}

#[test]
fn what_is_no_function_stays() {
    let expansion = super::test(&Root::facade(), tokens(""), &tokens("struct Shop;"));
    assert_text!("no_function", pretty(expansion));
}
