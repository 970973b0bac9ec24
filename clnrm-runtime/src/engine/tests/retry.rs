//! Another attempt is made after 1, 2 and 4 seconds, and of a failed one nothing stays.

use super::sketch::{own, service};
use super::stage::{Stage, end};
use crate::backend::fake::Step;
use crate::error::CleanroomError;

#[tokio::test(start_paused = true)]
async fn the_pauses_double_and_each_failed_attempt_is_removed_first() {
    for step in [Step::Create, Step::Start, Step::PluginMigrate] {
        let stage = Stage::new([service("db").migrates().attempts(5)]);
        stage.fails_times(step, "db", 3);
        stage.takes(Step::Remove, "db", 1);
        let removing = u64::from(step != Step::Create);
        stage.acquire("a", [own("db")]).await.unwrap();
        let seconds = |step| {
            let calls = stage.calls(step, "db").into_iter();
            calls.map(|call| call.begun.as_secs()).collect::<Vec<_>>()
        };
        let begun = [0, 1, 3, 7].into_iter().zip(0..);
        let begun = begun.map(|(at, failed)| at + failed * removing);
        assert_eq!(seconds(Step::Create), begun.collect::<Vec<_>>());
        let removed = stage.calls(Step::Remove, "db");
        assert_eq!(removed.len() as u64, 3 * removing, "{step:?}");
        let creates = stage.calls(Step::Create, "db");
        for (removed, next) in removed.iter().zip(&creates[1..]) {
            assert!(end(removed) < next.begun, "{step:?}");
        }
        assert_eq!(stage.fake.services(), ["db"]);
        stage.release("a").await;
        stage.is_empty();
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_error_says_how_often_it_was_tried() {
    let stage = Stage::new([service("db").attempts(3)]);
    stage.fails(Step::Start, "db");
    let error = stage.acquire("a", [own("db")]).await.unwrap_err();
    assert_eq!(error.context("attempts"), Some("3"));
    assert_eq!(stage.now(), 3);
    stage.is_empty();
    let attempts = stage.fake.requests("db").into_iter();
    let attempts = attempts.map(|request| request.label.attempt);
    assert_eq!(
        attempts.collect::<std::collections::BTreeSet<_>>().len(),
        3,
        "each attempt has a label of its own"
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_that_stays_is_not_tried_again() {
    let stage = Stage::new([service("db").attempts(5)]);
    let error = CleanroomError::container_error("no such image");
    stage.script.fails(Step::Create, "db", usize::MAX, error);
    stage.acquire("a", [own("db")]).await.unwrap_err();
    assert_eq!(stage.calls(Step::Create, "db").len(), 1);
    assert_eq!(stage.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_attempts_is_an_error() {
    let stage = Stage::new([service("db").attempts(0)]);
    let error = stage.acquire("a", [own("db")]).await.unwrap_err();
    assert_eq!(error.message(), "a start with 0 attempts never starts");
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_attempts_ends_with_the_test() {
    let stage = Stage::new([service("db").attempts(9)]);
    stage.fails(Step::Start, "db");
    let acquiring = stage.acquiring("a", [own("db")]);
    tokio::time::timeout(
        std::time::Duration::from_secs(10),
        std::future::pending::<()>(),
    )
    .await
    .unwrap_err();
    stage.release("a").await;
    assert_eq!(stage.now(), 10);
    acquiring.await.unwrap().unwrap_err();
    stage.is_empty();
}
