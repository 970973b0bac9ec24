//! What a test may do to its own instance, and is refused on everybody's.

use std::time::SystemTime;

use insta::{allow_duplicates, assert_snapshot};

use super::sketch::{by_hand, external, own, service, shared, slice};
use super::stage::Stage;
use crate::backend::fake::Step;
use crate::error::ErrorKind;
use crate::service::{HealthStatus, ServiceHandle};

#[tokio::test(start_paused = true)]
async fn a_restart_waits_until_it_is_ready_again() {
    let stage = Stage::new([service("db").asks_plugin()]);
    let db = stage.handle("a", own("db")).await;
    stage.fails_times(Step::PluginReady, "db", 3);
    stage.engine.restart(&db).await.unwrap();
    assert_eq!(stage.calls(Step::PluginReady, "db").len(), 5);
    assert_eq!(stage.calls(Step::Start, "db").len(), 2);
    assert_eq!(
        stage.engine.health(&db).await.unwrap(),
        HealthStatus::Healthy
    );
    stage.release("a").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_is_unhealthy_and_can_be_started_again() {
    let stage = Stage::new([service("db")]);
    let db = stage.handle("a", own("db")).await;
    stage.engine.halt(&db).await.unwrap();
    let health = stage.engine.health(&db).await.unwrap();
    assert_eq!(
        health,
        HealthStatus::Unhealthy("it has exited with code 0".to_owned())
    );
    stage.engine.restart(&db).await.unwrap();
    assert_eq!(
        stage.engine.health(&db).await.unwrap(),
        HealthStatus::Healthy
    );
    stage.engine.halt(&db).await.unwrap();
    stage.release("a").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_is_unhealthy_until_it_is_not() {
    let stage = Stage::new([service("db")]);
    let db = stage.handle("a", own("db")).await;
    stage.engine.pause(&db).await.unwrap();
    assert_eq!(
        stage.engine.health(&db).await.unwrap(),
        HealthStatus::Unhealthy("it is paused".to_owned())
    );
    stage.engine.unpause(&db).await.unwrap();
    assert_eq!(
        stage.engine.health(&db).await.unwrap(),
        HealthStatus::Healthy
    );
    stage.engine.pause(&db).await.unwrap();
    stage.release("a").await;
    stage.is_empty();
}

/// Every operation that changes an instance is refused, with this error.
async fn refused(stage: &Stage, handle: &ServiceHandle) -> String {
    let engine = &stage.engine;
    let errors = [
        engine.restart(handle).await.unwrap_err(),
        engine.halt(handle).await.unwrap_err(),
        engine.pause(handle).await.unwrap_err(),
        engine.unpause(handle).await.unwrap_err(),
    ];
    for (error, what) in errors.iter().zip(["restart", "stop", "pause", "unpause"]) {
        assert_eq!(error.kind(), ErrorKind::Validation);
        let begin = format!("cannot {what} `{}`: ", handle.name());
        assert!(error.message().starts_with(&begin), "{error}");
    }
    let changed = [Step::Stop, Step::Pause, Step::Unpause];
    for step in changed {
        assert_eq!(stage.calls(step, handle.name()), []);
    }
    errors[0].to_string()
}

#[tokio::test(start_paused = true)]
async fn what_others_use_too_is_left_alone() {
    let stage = Stage::new([service("db"), service("cache").sliced_by_the_run()]);
    let handles = [
        stage.handle("a", shared("db")).await,
        stage.handle("b", slice("db")).await,
        stage.handle("c", shared("cache")).await,
    ];
    for handle in &handles {
        let error = refused(&stage, handle).await;
        let error = error.replace("cache", "db");
        allow_duplicates!(assert_snapshot!(error, @r"
        cannot restart `db`: the run shares the instance between its tests
          hint: write `#[clnrm::test(fresh)]` to get instances of your own
        "));
    }
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_clnrm_did_not_start_is_left_alone() {
    let stage = Stage::new([external("db"), by_hand("mail")]);
    for lease in [own("db"), shared("db"), own("mail")] {
        let name = lease.name.clone();
        let handle = stage.handle("a", lease).await;
        let error = refused(&stage, &handle).await.replace(&name, "db");
        allow_duplicates!(assert_snapshot!(error, @"cannot restart `db`: clnrm did not start it"));
        assert!(stage.engine.logs(&handle, None).await.unwrap().is_empty());
        let error = stage.engine.stats(&handle).await.unwrap_err();
        assert!(error.message().starts_with("cannot measure"), "{error}");
        stage.release("a").await;
    }
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_cannot_be_had_back() {
    let stage = Stage::new([service("db")]);
    let db = stage.handle("a", own("db")).await;
    stage.release("a").await;
    let calls = stage.script.calls().len();
    let error = stage.engine.restart(&db).await.unwrap_err();
    assert_snapshot!(error, @"cannot restart `db`: it has been removed");
    assert_eq!(stage.script.calls().len(), calls);
    let health = stage.engine.health(&db).await.unwrap();
    assert_eq!(health, HealthStatus::Unhealthy("it is gone".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn everybody_may_look() {
    let stage = Stage::new([service("db")]);
    let before = SystemTime::now();
    let db = stage.handle("a", shared("db")).await;
    let texts = |lines: Vec<crate::backend::LogLine>| {
        lines.into_iter().map(|line| line.text).collect::<Vec<_>>()
    };
    let lines = stage.engine.logs(&db, Some(before)).await.unwrap();
    assert_eq!(texts(lines), ["to stdout", "to stderr"]);
    let later = SystemTime::now() + std::time::Duration::from_secs(1);
    assert!(
        stage
            .engine
            .logs(&db, Some(later))
            .await
            .unwrap()
            .is_empty()
    );
    let command = ["say", "hello"].map(str::to_owned);
    let output = stage.engine.exec(&db, &command).await.unwrap();
    assert_eq!(output.stdout_text(), "hello");
    assert!(stage.engine.stats(&db).await.unwrap().memory > 0);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_is_told_and_cleaned_up_with_the_test() {
    let stage = Stage::new([service("db")]);
    let db = stage.handle("a", own("db")).await;
    stage.fails(Step::Start, "db");
    let error = stage.engine.restart(&db).await.unwrap_err();
    assert_snapshot!(error, @r"
    Start fails
      service: db (fake)
      phase: restart
      from: program `/fake/db`
    ");
    stage.release("a").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_answer_has_its_reason() {
    let stage = Stage::new([service("db").asks_plugin()]);
    let db = stage.handle("a", own("db")).await;
    stage.fails(Step::PluginReady, "db");
    assert_eq!(
        stage.engine.health(&db).await.unwrap(),
        HealthStatus::Unhealthy("PluginReady fails".to_owned())
    );
    stage.fails(Step::Inspect, "db");
    assert!(stage.engine.health(&db).await.is_err());
    stage.shutdown().await;
}
