//! The lines that the tests of this file leave in the link section.

use std::collections::BTreeMap;

use clnrm::{Fixture, ServiceHandle};
use clnrm_runtime::__private::inventory;
use clnrm_runtime::declare::{Line, Service, TestDescriptor, parse_descriptors};

#[clnrm::service(image = "db:1", port = 1, name = "line-db")]
struct Db(ServiceHandle);

#[clnrm::service(image = "cache:1", port = 1)]
struct Cache(ServiceHandle);

#[clnrm::service(image = "queue:1", port = 1, optional)]
struct Queue(ServiceHandle);

/// Built from one service alone: a test may name that one too.
struct Pool(String);

impl Fixture for Pool {
    type Needs = Db;

    async fn set_up(db: Db) -> clnrm::Result<Self> {
        Ok(Self(db.url()?))
    }
}

/// A fixture of a fixture.
struct App(Pool, Option<Cache>);

impl Fixture for App {
    type Needs = (Pool, Option<Cache>);

    async fn set_up((pool, cache): Self::Needs) -> clnrm::Result<Self> {
        Ok(Self(pool, cache))
    }
}

#[clnrm::test]
fn nothing() {}

#[clnrm::test(timeout = "1500ms", fresh)]
#[ignore = "it is its descriptor that is looked at"]
fn options(db: &Db) {
    assert!(db.url().is_ok());
}

#[clnrm::test(shared(db, app))]
#[cfg_attr(all(), ignore)]
#[cfg_attr(any(), ignore)]
async fn shared(app: App, db: Db, mut cache: Option<Cache>) {
    assert!(app.0.0 == db.url().unwrap() && app.1.is_some() == cache.take().is_some());
}

#[clnrm::test]
#[ignore = "it is its descriptor that is looked at"]
async fn two_fixtures(one: Pool, other: Pool, _: &Option<Queue>) {
    assert_eq!(one.0, other.0);
}

mod nested {
    #[clnrm::test]
    #[cfg_attr(any(), ignore)]
    fn deeper() {}
}

fn tests() -> BTreeMap<String, TestDescriptor> {
    let lines = inventory::iter::<Line>.into_iter();
    let section = lines.flat_map(|line| line.0.iter().copied());
    let tests = parse_descriptors(&section.collect::<Vec<_>>()).unwrap();
    let by_name = |test: TestDescriptor| (test.test_name().to_owned(), test);
    tests.into_iter().map(by_name).collect()
}

#[track_caller]
fn check(name: &str, needs: &[(&str, bool)], shared: &[&str]) {
    let tests = tests();
    let test = &tests[&format!("descriptor::{name}")];
    let found = test.needs.iter();
    let found = found.map(|need| (need.id.as_str(), need.optional));
    assert_eq!(found.collect::<Vec<_>>(), needs);
    let found = test.shared.iter().map(|need| need.id.as_str());
    assert_eq!(found.collect::<Vec<_>>(), shared);
}

#[test]
fn every_test_has_one_line_with_the_name_that_libtest_prints() {
    let names = tests().into_keys().collect::<Vec<_>>();
    assert_eq!(
        names,
        [
            "nested::deeper",
            "nothing",
            "options",
            "shared",
            "two_fixtures"
        ]
        .map(|name| format!("descriptor::{name}"))
    );
}

#[test]
fn a_test_may_need_nothing() {
    check("nothing", &[], &[]);
}

#[test]
fn options_are_in_the_line() {
    check("options", &[(Db::ID, false)], &[]);
    let tests = tests();
    let test = &tests["descriptor::options"];
    assert!(test.fresh && test.ignored);
    assert_eq!(test.timeout_ms, 1500);
    assert!(test.file.ends_with("descriptor.rs") && test.line > 1);
    assert!(!tests["descriptor::nothing"].fresh && !tests["descriptor::nothing"].ignored);
}

#[test]
fn fixtures_are_resolved_to_their_services() {
    check(
        "shared",
        &[
            (Db::ID, false),
            (Cache::ID, true),
            (Db::ID, false),
            (Cache::ID, true),
        ],
        &[Db::ID, Db::ID, Cache::ID],
    );
    check(
        "two_fixtures",
        &[(Db::ID, false), (Db::ID, false), (Queue::ID, true)],
        &[],
    );
}

#[test]
fn a_condition_decides_whether_a_test_is_ignored() {
    let tests = tests();
    assert!(tests["descriptor::shared"].ignored);
    assert!(!tests["descriptor::nested::deeper"].ignored);
}
