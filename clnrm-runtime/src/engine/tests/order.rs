//! Dependencies first, independents at once, and the other way round at the end.

use super::sketch::{implied, own, service, shared};
use super::stage::{Stage, end};
use crate::backend::fake::Step;

#[tokio::test(start_paused = true)]
async fn a_dependency_is_ready_before_its_dependant_is_made() {
    let stage = Stage::new([
        service("db").asks_plugin().migrates(),
        service("shop").needs(&["db"]),
    ]);
    stage.takes(Step::Start, "db", 3);
    stage.fails_times(Step::PluginReady, "db", 4);
    stage.takes(Step::PluginMigrate, "db", 2);
    stage
        .acquire("a", [own("shop"), implied(own("db"))])
        .await
        .unwrap();
    assert_eq!(stage.calls(Step::PluginReady, "db").len(), 5);
    let migrated = end(&stage.call(Step::PluginMigrate, "db"));
    assert!(migrated.as_secs() >= 5);
    assert!(stage.call(Step::Create, "shop").begun >= migrated);
    stage.release("a").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn independent_services_overlap() {
    let stage = Stage::new([service("db"), service("cache"), service("mail")]);
    for name in ["db", "cache", "mail"] {
        stage.takes(Step::Create, name, 4);
        stage.takes(Step::Start, name, 6);
    }
    stage
        .acquire("a", [own("db"), own("cache"), own("mail")])
        .await
        .unwrap();
    assert_eq!(stage.now(), 10);
    stage.takes(Step::Stop, "db", 5);
    stage.takes(Step::Stop, "cache", 5);
    stage.release("a").await;
    assert_eq!(stage.now(), 15);
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn what_two_need_starts_once_and_stops_after_both() {
    let stage = Stage::new([
        service("db"),
        service("left").needs(&["db"]),
        service("right").needs(&["db"]),
        service("shop").needs(&["left", "right"]),
    ]);
    for name in ["db", "left", "right", "shop"] {
        stage.takes(Step::Start, name, 2);
        stage.takes(Step::Stop, name, 2);
    }
    let below = ["db", "left", "right"].map(|name| implied(own(name)));
    stage
        .acquire("a", [own("shop")].into_iter().chain(below))
        .await
        .unwrap();
    assert_eq!(stage.now(), 6);
    stage.release("a").await;
    assert_eq!(stage.now(), 12);
    let order = [
        ("shop", ["left", "right"]),
        ("left", ["db", "db"]),
        ("right", ["db", "db"]),
    ];
    for (dependant, dependencies) in order {
        let gone = end(&stage.call(Step::Remove, dependant));
        for dependency in dependencies {
            assert!(stage.call(Step::Stop, dependency).begun >= gone);
        }
    }
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn the_instances_of_tests_stop_before_those_of_the_run() {
    let stage = Stage::new([service("db"), service("shop").needs(&["db"])]);
    stage.takes(Step::Stop, "shop", 3);
    for test in ["a", "b"] {
        stage
            .acquire(test, [own("shop"), implied(shared("db"))])
            .await
            .unwrap();
    }
    stage.shutdown().await;
    let shops = stage.calls(Step::Remove, "shop");
    assert_eq!(shops.len(), 2);
    let db = stage.call(Step::Stop, "db");
    assert!(shops.iter().all(|shop| db.begun >= end(shop)));
    // Tests do not wait for each other.
    assert_eq!(stage.now(), 3);
}
