//! Hand-written `start`, `stop` and `health_check`: plugin code asks the coordinator's engine.

use cargo_clnrm::serve::Limits;
use clnrm_runtime::engine::Hooks;
use clnrm_runtime::service::HealthStatus;

use super::fixture::{Fixture, LONG, handle, soon};
use super::notes::{Behaviour, Note};
use super::plugin::{START, odd};

#[tokio::test]
async fn what_is_started_by_hand_is_started_by_the_engine() {
    let fixture = Fixture::new();
    let made = soon(fixture.pool.start(&odd())).await.unwrap();
    assert_eq!(made.name(), "made");
    soon(fixture.pool.stop(&odd(), &made)).await.unwrap();
    let notes = fixture.end().await;
    // What a start that succeeded has made is its caller's, and stopped once.
    let made = || "made".to_owned();
    assert_eq!(
        notes,
        [
            Note::Start(made()),
            Note::Started(made()),
            Note::Stop(made())
        ]
    );
}

#[tokio::test]
async fn the_engine_asks_the_code_that_asks_it() {
    let fixture = Fixture::new();
    let (odd, db) = (odd(), handle("db"));
    let health = fixture.pool.health_check(&odd, &db);
    assert_eq!(
        soon(health).await.unwrap(),
        HealthStatus::Unhealthy("not yet".to_owned())
    );
    fixture.engine.behave(Behaviour::Migrates);
    let error = soon(fixture.pool.start(&odd)).await.unwrap_err();
    assert_eq!(error.message(), "migrated");
    fixture.end().await;
}

#[tokio::test]
async fn nothing_is_started_outside_the_call_of_the_plugin() {
    let fixture = Fixture::new();
    let error = fixture.tell("thread:").await.unwrap_err();
    assert_eq!(
        error.message(),
        "a service can only be started from within the plugin's own call"
    );
    assert!(fixture.end().await.is_empty());
}

#[tokio::test]
async fn a_start_that_is_given_up_ends_what_it_asks() {
    let mut fixture = Fixture::new();
    fixture.engine.behave(Behaviour::Hangs);
    let pool = fixture.pool.clone();
    let start = tokio::spawn(async move { pool.start(&odd()).await });
    assert_eq!(fixture.note().await, Note::Start("made".to_owned()));
    start.abort();
    assert_eq!(fixture.note().await, Note::StartDropped);
    assert!(fixture.end().await.is_empty());
}

#[tokio::test]
async fn a_start_that_is_given_up_returns_in_the_host_which_lives() {
    let limits = Limits {
        grace: LONG,
        ..Limits::default()
    };
    let fixture = Fixture::with(limits);
    let file = fixture.file("told");
    let mut fixture = fixture.with_variable(START, &format!("tell:{file}"));
    fixture.engine.behave(Behaviour::Hangs);
    let pid = fixture.tell("pid:").await.unwrap();
    let pool = fixture.pool.clone();
    let start = tokio::spawn(async move { pool.start(&odd()).await });
    assert_eq!(fixture.note().await, Note::Start("made".to_owned()));
    start.abort();
    assert_eq!(fixture.text_of(&file).await, "the call was cancelled");
    assert_eq!(fixture.tell("pid:").await.unwrap(), pid);
    fixture.end().await;
}

#[tokio::test]
async fn a_start_that_is_given_up_frees_what_it_made() {
    let mut fixture = Fixture::starting("late:");
    fixture.engine.behave(Behaviour::HealthCheckHangs);
    let pool = fixture.pool.clone();
    // The health check that follows in the plugin never ends.
    let start = tokio::spawn(async move { pool.start(&odd()).await });
    assert_eq!(fixture.note().await, Note::Start("made".to_owned()));
    assert_eq!(fixture.note().await, Note::Started("made".to_owned()));
    assert_eq!(fixture.note().await, Note::HealthCheck("made".to_owned()));
    start.abort();
    let _ = start.await;
    let notes = fixture.end().await;
    assert!(notes.contains(&Note::Stop("made".to_owned())), "{notes:?}");
}

#[tokio::test]
async fn a_start_is_undone_however_late_it_is_given_up() {
    // Given up before, while and after its answer arrives: the marker calls
    // pass through the same host in between.
    for markers in [0, 1, 2, 8] {
        let mut fixture = Fixture::new();
        let odd = odd();
        let mut start = Box::pin(fixture.pool.start(&odd));
        let pending = tokio::select! {
            biased;
            note = fixture.notes.recv() => note == Some(Note::Start("made".to_owned())),
            _ = &mut start => false,
        };
        assert!(pending);
        for marker in 0..markers {
            fixture.tell(&format!("echo:{marker}")).await.unwrap();
        }
        drop(start);
        let notes = fixture.end().await;
        let noted = |note: Note| notes.contains(&note);
        let (started, stopped) = ("made".to_owned(), "made".to_owned());
        assert_eq!(
            noted(Note::Started(started)),
            noted(Note::Stop(stopped)),
            "{markers}: {notes:?}"
        );
    }
}

#[tokio::test]
async fn a_start_that_fails_frees_what_it_made() {
    let fixture = Fixture::starting("fail:");
    let error = soon(fixture.pool.start(&odd())).await.unwrap_err();
    assert_eq!(error.message(), "made, but no good");
    let made = || "made".to_owned();
    let notes = fixture.end().await;
    assert_eq!(
        notes,
        [
            Note::Start(made()),
            Note::Started(made()),
            Note::Stop(made())
        ]
    );
}

#[tokio::test]
async fn a_start_whose_host_crashes_frees_what_it_made_and_is_not_made_again() {
    let fixture = Fixture::new();
    let how = format!("crash:{}", fixture.file("crashed"));
    let fixture = fixture.with_variable(START, &how);
    let error = soon(fixture.pool.start(&odd())).await.unwrap_err();
    assert!(error.message().ends_with("ended by signal 6"), "{error}");
    assert_eq!(error.context("during"), Some("start"));
    let notes = fixture.end().await;
    let count = |note: Note| notes.iter().filter(|noted| **noted == note).count();
    assert_eq!(count(Note::Start("made".to_owned())), 1, "{notes:?}");
    assert_eq!(count(Note::Stop("made".to_owned())), 1, "{notes:?}");
}
