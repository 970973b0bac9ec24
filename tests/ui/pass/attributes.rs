//! Tests that need nothing, in every shape that libtest has.

use std::sync::atomic::{AtomicBool, Ordering};

#[clnrm::test]
fn plain() {}

#[clnrm::test]
async fn result() -> Result<(), Box<dyn std::error::Error>> {
    Ok(())
}

#[clnrm::test(timeout = "10s", fresh)]
async fn one_thread() {
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    assert_eq!(flavor, tokio::runtime::RuntimeFlavor::CurrentThread);
}

#[clnrm::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_threads() {
    let handle = tokio::runtime::Handle::current();
    assert_eq!(handle.runtime_flavor(), tokio::runtime::RuntimeFlavor::MultiThread);
    assert_eq!(handle.metrics().num_workers(), 2);
}

#[clnrm::test]
#[should_panic(expected = "on purpose")]
fn panics() {
    panic!("on purpose");
}

#[clnrm::test]
#[should_panic(expected = "on purpose")]
async fn panics_later() {
    panic!("on purpose");
}

#[clnrm::test]
#[ignore = "it would fail"]
fn ignored() {
    panic!("not ignored");
}

#[clnrm::test]
#[cfg_attr(all(), ignore)]
fn ignored_if() {
    panic!("not ignored");
}

#[cfg(any())]
#[clnrm::test]
fn not_there(missing: Missing) {}

#[clnrm::test]
#[cfg(any())]
fn not_there_either(missing: Missing) {}

/// Documented, and with a lint of its own.
#[clnrm::test]
#[expect(unused_variables, reason = "the lint belongs to the body too")]
fn expects_a_lint() {
    let unused = 1;
}

#[tracing::instrument]
#[clnrm::test]
async fn below_another_attribute() {}

#[clnrm::test]
#[tracing::instrument(skip_all)]
async fn above_another_attribute() -> Result<(), String> {
    Ok(())
}

#[clnrm::test]
fn a_body_may_use_any_name() {
    const DECLARATION: u8 = 1;
    static CASE: AtomicBool = AtomicBool::new(false);
    CASE.store(DECLARATION == 1, Ordering::Relaxed);
    assert!(CASE.load(Ordering::Relaxed));
}

#[clnrm::test]
fn r#try() {}

mod nested {
    #[clnrm::test(crate = clnrm)]
    pub(crate) fn by_path() {}

    #[clnrm_runtime::test]
    fn by_the_runtime() {}
}
