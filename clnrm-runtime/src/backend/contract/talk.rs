//! Promises about what goes into an instance and comes out: commands, logs, files.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt as _;

use super::{DEADLINE, Fixture, STOP, must, refused, running, said, until};
use crate::backend::{Backend, LogLine, State};
use crate::service::{InstanceId, LogStream};

/// A command's output comes back, and its failure is no error.
pub async fn exec_gives_output_and_code(backend: &dyn Backend, fixture: &Fixture) {
    let id = running(backend, fixture).await;
    let (command, text) = &fixture.says;
    let output = must("exec", backend.exec(&id, command).await);
    assert!(output.success(), "{output:?}");
    assert_eq!(output.stdout_text().trim_end(), text);
    let (command, code) = &fixture.fails;
    let output = must("exec of what fails", backend.exec(&id, command).await);
    assert_eq!(output.code, *code);
    must("remove", backend.remove(&id).await);
}

/// Nothing is run in an instance that does not run itself.
pub async fn exec_needs_a_running_instance(backend: &dyn Backend, fixture: &Fixture) {
    let id = must(
        "create",
        backend.create(&fixture.request(&fixture.server)).await,
    );
    refused("exec", backend.exec(&id, &fixture.says.0).await);
    must("remove", backend.remove(&id).await);
}

/// Both streams are in the log, each line with its own.
pub async fn logs_have_both_streams(backend: &dyn Backend, fixture: &Fixture) {
    let begun = SystemTime::now();
    let id = running(backend, fixture).await;
    said(backend, &id, "to stderr").await;
    for line in lines(backend, &id).await {
        match line.text.as_str() {
            "to stdout" => assert_eq!(line.stream, LogStream::Stdout),
            "to stderr" => assert_eq!(line.stream, LogStream::Stderr),
            _ => {}
        }
        // An engine may keep a clock of its own.
        let early = begun - Duration::from_secs(5);
        assert!(!fixture.answers || line.at >= early, "{line:?}");
    }
    must("remove", backend.remove(&id).await);
}

/// `since` leaves out what was written before.
pub async fn logs_can_start_late(backend: &dyn Backend, fixture: &Fixture) {
    let id = running(backend, fixture).await;
    said(backend, &id, "to stderr").await;
    let last = lines(backend, &id).await.into_iter().map(|line| line.at);
    let after = last.max().unwrap_or(SystemTime::UNIX_EPOCH) + Duration::from_millis(1);
    let late = collect(backend, &id, Some(after)).await;
    assert!(late.is_empty(), "{late:?}");
    must("remove", backend.remove(&id).await);
}

/// A stream that follows gives what comes later too, and ends with the instance.
pub async fn logs_follow_until_the_end(backend: &dyn Backend, fixture: &Fixture) {
    let id = must(
        "create",
        backend.create(&fixture.request(&fixture.server)).await,
    );
    must("start", backend.start(&id).await);
    let mut stream = backend.logs(&id, None, true);
    let follow = async {
        let mut seen = Vec::new();
        while let Some(line) = stream.next().await {
            let line = must("logs", line);
            let last = line.text == "to stdout";
            seen.push(line.text);
            if last {
                must("stop", backend.stop(&id, STOP).await);
            }
        }
        seen
    };
    let Ok(seen) = tokio::time::timeout(DEADLINE, follow).await else {
        panic!("the stream did not end with the instance")
    };
    assert!(seen.iter().any(|text| text == "to stdout"), "{seen:?}");
    must("remove", backend.remove(&id).await);
}

/// What an instance wrote just before it ended is there once it is seen to have
/// ended: a failed start is explained with it.
pub async fn last_words_are_in_the_logs(backend: &dyn Backend, fixture: &Fixture) {
    let id = must(
        "create",
        backend.create(&fixture.request(&fixture.ends)).await,
    );
    must("start", backend.start(&id).await);
    until("the exit", async || {
        let state = super::state(backend, &id).await;
        matches!(state, State::Exited { .. }).then_some(())
    })
    .await;
    let lines = lines(backend, &id).await;
    assert!(
        lines.iter().any(|line| line.text == "last words"),
        "{lines:?}"
    );
    must("remove", backend.remove(&id).await);
}

/// A file that is copied in comes out again; one that is not there is an error.
pub async fn copies_go_in_and_out(backend: &dyn Backend, fixture: &Fixture) {
    let id = running(backend, fixture).await;
    let path = fixture.file("copied");
    let contents = Bytes::from_static(b"\x00binary\xff\n");
    must(
        "copy in",
        backend.copy_in(&id, &path, contents.clone(), 0o600).await,
    );
    let out = must("copy out", backend.copy_out(&id, &path).await);
    assert_eq!(out, contents);
    let short = Bytes::from_static(b"short");
    must(
        "copy over it",
        backend.copy_in(&id, &path, short.clone(), 0o600).await,
    );
    assert_eq!(must("copy out", backend.copy_out(&id, &path).await), short);
    refused(
        "copy out of nothing",
        backend.copy_out(&id, &fixture.file("absent")).await,
    );
    must("remove", backend.remove(&id).await);
}

/// All lines so far.
pub(super) async fn lines(backend: &dyn Backend, id: &InstanceId) -> Vec<LogLine> {
    collect(backend, id, None).await
}

async fn collect(
    backend: &dyn Backend,
    id: &InstanceId,
    since: Option<SystemTime>,
) -> Vec<LogLine> {
    let stream = backend.logs(id, since, false);
    let all = stream.map(|line| must("logs", line)).collect();
    match tokio::time::timeout(DEADLINE, all).await {
        Ok(lines) => lines,
        Err(_) => panic!("the stream of a log that is not followed does not end"),
    }
}
