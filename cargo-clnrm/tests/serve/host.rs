//! Hosts that behave.

use clnrm_runtime::engine::Hooks;
use clnrm_runtime::protocol::RUN_VARIABLE;
use clnrm_runtime::service::{RunId, SliceId};
use futures_util::future::join_all;

use super::fixture::{Fixture, binary, handle, soon};
use super::plugin::odd;

#[tokio::test]
async fn a_binary_says_what_its_services_are() {
    let fixture = Fixture::new();
    let all = soon(fixture.pool.describe(&binary())).await.unwrap();
    let find = |name: &str| all.iter().find(|service| service.name == name).unwrap();
    assert!(find("odd").error.is_none());
    let error = find("broken").error.as_ref().unwrap();
    assert_eq!(error.message(), "the tag `?` is no tag");
    fixture.end().await;
}

#[tokio::test]
async fn plugins_are_found_in_the_binary_that_described_them() {
    let fixture = Fixture::new();
    let unknown = clnrm_runtime::service::ServiceId::new("cargo-clnrm/serve/plugin::Broken");
    let error = soon(fixture.pool.external(&unknown, "")).await.unwrap_err();
    assert_eq!(
        error.message(),
        "no test binary has the plugin of `cargo-clnrm/serve/plugin::Broken`"
    );
    soon(fixture.pool.describe(&binary())).await.unwrap();
    let error = soon(fixture.pool.external(&unknown, "")).await.unwrap_err();
    assert_eq!(error.message(), "the tag `?` is no tag");
    fixture.end().await;
}

#[tokio::test]
async fn calls_are_answered_by_another_process_and_all_by_one() {
    let fixture = Fixture::new();
    let pid = fixture.tell("pid:").await.unwrap();
    assert_ne!(pid, std::process::id().to_string());
    assert_eq!(fixture.tell("pid:").await.unwrap(), pid);
    let run = fixture.tell(&format!("variable:{RUN_VARIABLE}")).await;
    assert_eq!(run.unwrap(), "0123456789abcdef");
    fixture.end().await;
}

#[tokio::test]
async fn every_kind_of_call_gets_its_answer() {
    let fixture = Fixture::new();
    let (pool, odd, db) = (&fixture.pool, odd(), handle("db"));
    soon(pool.ready(&odd, &db)).await.unwrap();
    soon(pool.migrate(&odd, &db)).await.unwrap();
    let id = SliceId {
        name: "clnrm_0123456789abcdef_7".to_owned(),
        number: 7,
    };
    let slice = soon(pool.slice(&odd, &db, &id)).await.unwrap();
    assert_eq!(slice.vars["database"].value, id.name);
    soon(pool.drop_slice(&odd, &db, &slice)).await.unwrap();
    let live = [RunId::new("0123456789abcdef")];
    let swept = soon(pool.sweep(&odd, &db, &live)).await.unwrap();
    assert_eq!(swept, ["clnrm_0123456776543210_1"]);
    fixture.end().await;
}

#[tokio::test]
async fn a_hundred_calls_at_once_get_their_own_answers() {
    let fixture = Fixture::new();
    let calls = (0..100).map(|number| {
        let fixture = &fixture;
        async move { fixture.tell(&format!("echo:{number}")).await.unwrap() }
    });
    let answers = join_all(calls).await;
    let expected: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(answers, expected);
    fixture.end().await;
}

#[tokio::test]
async fn ten_megabytes_pass_in_both_directions() {
    let fixture = Fixture::new();
    let text = "x".repeat(10 << 20);
    let answer = fixture.tell(&format!("echo:{text}")).await.unwrap();
    assert!(answer == text, "{} bytes came back", answer.len());
    fixture.end().await;
}

#[tokio::test]
async fn hosts_end_when_they_are_dismissed_and_the_socket_goes() {
    let fixture = Fixture::new();
    let pid = fixture.tell("pid:").await.unwrap();
    let (pool, socket) = (fixture.pool.clone(), fixture.server.socket().to_owned());
    assert!(socket.exists());
    fixture.end().await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(!socket.exists());
    let error = pool.external(&odd(), "pid:").await.unwrap_err();
    assert_eq!(
        error.message(),
        "the hosts are dismissed, but `cargo-clnrm::serve` was asked for"
    );
}

#[tokio::test]
async fn a_pool_that_started_nothing_is_dismissed_at_once() {
    let fixture = Fixture::new();
    assert!(fixture.end().await.is_empty());
}
