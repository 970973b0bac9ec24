//! Hosts that crash, hang, panic, or never were one.

use std::time::Duration;

use cargo_clnrm::serve::Limits;
use clnrm_runtime::clock::Clock;
use clnrm_runtime::engine::{Hooks, within};
use clnrm_runtime::protocol::{Skew, VERSION};
use clnrm_runtime::service::SliceId;
use clnrm_runtime::{CleanroomError, ErrorKind};

use super::fixture::{Fixture, handle, soon};
use super::notes::Note;
use super::plugin::odd;

/// As long as a test is willing to wait for something to be given up.
const SHORT: Duration = Duration::from_millis(300);

async fn failed(fixture: &Fixture) -> CleanroomError {
    soon(fixture.pool.describe(&fixture.binary))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_host_lives() {
    let fixture = Fixture::new();
    let pid = fixture.tell("pid:").await.unwrap();
    let error = fixture.tell("nonsense:").await.unwrap_err();
    assert_eq!(
        error.message(),
        "`external` of `odd` panicked: what is nonsense?"
    );
    assert_eq!(fixture.tell("pid:").await.unwrap(), pid);
    fixture.end().await;
}

#[tokio::test]
async fn a_call_whose_host_crashes_is_made_again_in_another() {
    let fixture = Fixture::new();
    let pid = fixture.tell("pid:").await.unwrap();
    let once = format!("abort:{}", fixture.file("crashed"));
    assert_eq!(fixture.tell(&once).await.unwrap(), "survived");
    assert_ne!(fixture.tell("pid:").await.unwrap(), pid);
    fixture.end().await;
}

#[tokio::test]
async fn a_call_that_crashes_every_host_is_an_error_with_its_output() {
    let fixture = Fixture::new();
    let error = fixture.tell("abort:").await.unwrap_err();
    assert_eq!(
        error.message(),
        "the host of `cargo-clnrm::serve` ended by signal 6"
    );
    assert_eq!(error.context("twice during"), Some("external"));
    let output = error.context("its output").unwrap();
    assert!(output.contains("about to abort"), "{output}");
    fixture.end().await;
}

#[tokio::test]
async fn what_cannot_be_done_twice_is_not_made_again_and_says_how_its_host_ended() {
    let fixture = Fixture::new();
    let aborts = |name| handle(&format!("abort:{}", fixture.file(name)));
    let id = SliceId {
        name: "clnrm_0123456789ab_1".to_owned(),
        number: 1,
    };
    let (one, other) = (aborts("sliced"), aborts("migrated"));
    let sliced = soon(fixture.pool.slice(&odd(), &one, &id)).await.map(drop);
    let migrated = soon(fixture.pool.migrate(&odd(), &other)).await;
    for (outcome, method) in [(sliced, "slice"), (migrated, "migrate")] {
        let error = outcome.unwrap_err();
        assert_eq!(
            error.message(),
            "the host of `cargo-clnrm::serve` ended by signal 6"
        );
        assert_eq!(error.context("during"), Some(method));
        assert_eq!(error.context("plugin of"), Some(odd().as_str()));
        let output = error.context("its output").unwrap();
        assert!(output.contains("about to abort"), "{output}");
    }
    fixture.end().await;
}

#[tokio::test]
async fn an_error_of_a_second_try_says_what_became_of_the_first() {
    let fixture = Fixture::new();
    let once = format!("abort-then-fail:{}", fixture.file("crashed"));
    let error = fixture.tell(&once).await.unwrap_err();
    assert_eq!(error.message(), "it is half there");
    assert_eq!(
        error.context("at the first try"),
        Some("the host of `cargo-clnrm::serve` ended by signal 6")
    );
    fixture.end().await;
}

#[tokio::test]
async fn a_crash_takes_no_other_call_with_it() {
    let fixture = Fixture::new();
    fixture.tell("pid:").await.unwrap();
    let once = format!("abort:{}", fixture.file("crashed"));
    let (crashed, other) = tokio::join!(fixture.tell(&once), fixture.tell("echo:hello"));
    assert_eq!(crashed.unwrap(), "survived");
    assert_eq!(other.unwrap(), "hello");
    fixture.end().await;
}

#[tokio::test]
async fn a_process_that_keeps_the_stream_open_does_not_hide_the_end_of_its_host() {
    let fixture = Fixture::new();
    let heir = fixture.tell("heir:").await.unwrap();
    let once = format!("abort:{}", fixture.file("crashed"));
    let answer = fixture.tell(&once).await;
    // Neither does its hold on the output keep the pool from ending.
    let ended = tokio::spawn(fixture.end()).await;
    let heir = rustix::process::Pid::from_raw(heir.parse().unwrap()).unwrap();
    rustix::process::kill_process(heir, rustix::process::Signal::KILL).unwrap();
    assert_eq!(answer.unwrap(), "survived");
    ended.unwrap();
}

#[tokio::test]
async fn an_end_without_a_hello_is_an_error_with_the_output() {
    let fixture = Fixture::misbehaving("exit");
    let error = failed(&fixture).await;
    assert_eq!(
        error.message(),
        "the host of `cargo-clnrm::serve::other` ended with exit code 7 without a hello"
    );
    let output = error.context("its output").unwrap();
    assert!(output.contains("no license for this test"), "{output}");
    fixture.end().await;
}

#[tokio::test]
async fn a_test_that_does_not_exist_is_an_error() {
    let mut fixture = Fixture::new();
    fixture.binary.test = "plugin::nowhere".to_owned();
    fixture.binary.id.push_str("::nowhere");
    let error = failed(&fixture).await;
    assert!(
        error
            .message()
            .ends_with("ended with exit code 0 without a hello")
    );
    assert_eq!(error.context("its test"), Some("plugin::nowhere"));
    let output = error.context("its output").unwrap();
    assert!(output.contains("running 0 tests"), "{output}");
    fixture.end().await;
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_an_error() {
    let mut fixture = Fixture::new();
    fixture.binary.path = "/nonexistent/test".into();
    fixture.binary.id.push_str("::nowhere");
    let error = failed(&fixture).await;
    assert_eq!(error.context("program"), Some("/nonexistent/test"));
    fixture.end().await;
}

#[tokio::test]
async fn a_host_that_says_no_hello_is_killed() {
    let hello = Duration::from_millis(500);
    let mut fixture = Fixture::with(Limits {
        hello,
        ..Limits::default()
    });
    fixture
        .binary
        .env
        .insert(super::plugin::BEFORE.into(), "hang".into());
    fixture.binary.id.push_str("::other");
    let error = failed(&fixture).await;
    assert_eq!(
        error.message(),
        "the host of `cargo-clnrm::serve::other` was silent for 500ms without a hello"
    );
    fixture.end().await;
}

#[tokio::test]
async fn a_dismissal_does_not_wait_for_a_hello() {
    let fixture = Fixture::misbehaving("hang");
    let pool = fixture.pool.clone();
    let binary = fixture.binary.clone();
    let describe = tokio::spawn(async move { pool.describe(&binary).await });
    tokio::task::yield_now().await;
    let start = std::time::Instant::now();
    fixture.end().await;
    assert!(start.elapsed() < Limits::default().hello);
    assert!(soon(describe).await.unwrap().is_err());
}

#[tokio::test]
async fn another_version_is_an_error_with_the_command_to_install() {
    let fixture = Fixture::misbehaving("skew");
    let error = failed(&fixture).await;
    let skew = Skew::of(&error).unwrap();
    assert_eq!(skew.binary.protocol, VERSION + 1);
    assert_eq!(skew.binary.release, "9.9.9");
    assert_eq!(
        error.hint(),
        Some("install the one that matches: `cargo install cargo-clnrm@9.9.9`")
    );
    fixture.end().await;
}

#[tokio::test]
async fn a_call_that_hangs_past_its_deadline_is_an_error_and_its_host_is_killed() {
    let fixture = Fixture::with(Limits {
        grace: SHORT,
        ..Limits::default()
    });
    let pid = fixture.tell("pid:").await.unwrap();
    let odd = odd();
    let clock = Clock::default();
    let hang = within(
        &clock,
        SHORT,
        "the call",
        fixture.pool.external(&odd, "hang:"),
    );
    let error = soon(hang).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let said = "`external` did not return in the ";
    assert!(error.message().starts_with(said), "{error}");
    let gone = std::path::PathBuf::from(format!("/proc/{pid}"));
    soon(async {
        while gone.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_ne!(fixture.tell("pid:").await.unwrap(), pid);
    fixture.end().await;
}

#[tokio::test]
async fn a_call_beside_one_that_hangs_is_made_again_when_their_host_is_killed() {
    let mut fixture = Fixture::with(Limits {
        grace: SHORT,
        ..Limits::default()
    });
    // Both are in the host when the first is given up; the second hangs the
    // first host alone, for the file is there the next time.
    let pool = fixture.pool.clone();
    let hanging = tokio::spawn(async move { pool.external(&odd(), "hang:").await });
    assert_eq!(fixture.note().await, Note::Stop("marker".to_owned()));
    let pool = fixture.pool.clone();
    let once = format!("hang-once:{}", fixture.file("hung"));
    let beside = tokio::spawn(async move { pool.external(&odd(), &once).await });
    assert_eq!(fixture.note().await, Note::Stop("marker".to_owned()));
    hanging.abort();
    assert_eq!(soon(beside).await.unwrap().unwrap().host, "survived");
    fixture.end().await;
}

#[tokio::test]
async fn a_host_that_does_not_listen_is_killed_when_dismissed() {
    let fixture = Fixture::with(Limits {
        grace: SHORT,
        ..Limits::default()
    });
    let pid = fixture.tell("pid:").await.unwrap();
    let id = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::STOP).unwrap();
    fixture.end().await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
