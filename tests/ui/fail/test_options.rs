//! Options of `#[clnrm::test]`.
#![allow(unused)]

// A time is a string with a unit.
#[clnrm::test(timeout = 30)]
fn timeout_without_unit() {}

#[clnrm::test(timeout = "30")]
fn timeout_without_unit_in_a_string() {}

#[clnrm::test(timeout = "0s")]
fn timeout_of_zero() {}

#[clnrm::test(tymeout = "30s")]
fn misspelt() {}

#[clnrm::test(retries = 3)]
fn unknown() {}

#[clnrm::test(timeout = "1s", timeout = "2s")]
fn twice() {}

#[clnrm::test(flavor = "multi_thread")]
fn a_runtime_for_a_sync_test() {}

#[clnrm::test(flavor = "multi", worker_threads = 2)]
async fn no_such_flavor() {}

#[clnrm::test(worker_threads = 2)]
async fn workers_of_one_thread() {}

#[clnrm::test(flavor = "multi_thread", worker_threads = 0)]
async fn no_workers() {}

#[clnrm::test(fresh = true)]
async fn a_flag_with_a_value() {}

#[clnrm::test(shared(bd, other))]
async fn shares_what_it_does_not_name(db: Db) {}

#[clnrm::test(shared)]
async fn shares_nothing(db: Db) {}

#[clnrm::test(fresh, shared(db))]
async fn fresh_and_shared(db: Db) {}

#[clnrm::test(crate = "clnrm")]
fn a_crate_in_quotes() {}

#[clnrm::test(timeout: "30s")]
fn a_colon() {}

// All mistakes of one test, at once.
#[clnrm::test(timeout = 30, frehs, flavor = "x")]
#[test]
const fn everything<T>(&mut self, (a, b): (Db, Db)) {}

#[clnrm::service(image = "db:1")]
struct Db(clnrm::ServiceHandle);

#[clnrm::test("500ms")]
fn a_time_alone() {}

#[clnrm::test(fresh, "30s")]
fn a_time_without_a_name() {}
