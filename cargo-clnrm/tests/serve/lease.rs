//! A test's session with the coordinator, end to end over the socket.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cargo_clnrm::serve::{Reception, Server, Ticket};
use clnrm_runtime::backend::LogLine;
use clnrm_runtime::declare::Need;
use clnrm_runtime::protocol::wire;
use clnrm_runtime::protocol::wire::leases_client::LeasesClient;
use clnrm_runtime::protocol::{Finished, Operation, Outcome, Token, VERSION, connect};
use clnrm_runtime::service::{HealthStatus, LogStream, RunId, ServiceId};
use clnrm_runtime::session::Remote;
use clnrm_runtime::{CleanroomError, ErrorKind, Result};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use super::fixture::{attempt, handle, soon};
use super::notes::{Behaviour, Note, Notes};

struct Leasing {
    _dir: tempfile::TempDir,
    reception: Reception,
    server: Server,
    engine: Arc<Notes>,
    notes: mpsc::UnboundedReceiver<Note>,
    ticket: Ticket,
}

impl Leasing {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let reception = Reception::new(dir.path().join("s"), RunId::new("0123456789abcdef"));
        let (engine, notes) = Notes::new();
        let server = Server::start(reception.clone(), Arc::clone(&engine) as _).unwrap();
        let ticket = reception.expect_test(attempt("orders")).unwrap();
        Self {
            _dir: dir,
            reception,
            server,
            engine,
            notes,
            ticket,
        }
    }

    async fn session(&mut self) -> Remote {
        let remote = Remote::connect_to(self.server.socket(), self.ticket.token());
        let remote = soon(remote).await.unwrap();
        assert_eq!(self.note().await, Note::Hello);
        remote
    }

    async fn note(&mut self) -> Note {
        soon(self.notes.recv()).await.unwrap()
    }
}

fn needs(names: &[&str]) -> Vec<Need> {
    let need = |name: &&str| Need {
        id: ServiceId::new(*name),
        name: (*name).to_owned(),
        optional: false,
    };
    names.iter().map(need).collect()
}

/// What the lease service has to say of a service called `name`.
pub(crate) fn log_of(
    name: &str,
    since: Option<SystemTime>,
    follow: bool,
) -> Result<BoxStream<'static, Result<LogLine>>> {
    let line = |text: String| {
        Ok(LogLine {
            at: UNIX_EPOCH + Duration::from_secs(7),
            stream: LogStream::Stderr,
            text,
        })
    };
    match name {
        "unknown" => Err(CleanroomError::validation_error("it is not leased")),
        "breaks" => Ok(stream::iter([
            line("one".to_owned()),
            Err(CleanroomError::container_error("the log is gone")),
        ])
        .boxed()),
        "long" => {
            let lines = (0..10_u32).map(move |number| line(format!("{number}").repeat(1 << 20)));
            Ok(stream::iter(lines).boxed())
        }
        _ => {
            let asked = line(format!("{since:?}, {follow}"));
            let lines = stream::iter([asked]);
            match follow {
                true => Ok(lines.chain(stream::pending()).boxed()),
                false => Ok(lines.boxed()),
            }
        }
    }
}

#[tokio::test]
async fn services_are_leased_and_optional_ones_may_be_absent() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    let leases = soon(remote.acquire(&needs(&["db", "optional"])))
        .await
        .unwrap();
    let db = leases.get("db").unwrap().unwrap();
    assert_eq!(db.handle.name(), "db");
    assert_eq!(db.needs[0].0, "db");
    assert!(leases.get("optional").unwrap().is_none());
    assert!(leases.get("another").is_err());
    let asked = ["db", "optional"].map(ServiceId::new).to_vec();
    assert_eq!(leasing.note().await, Note::Acquire(asked));
}

#[tokio::test]
async fn a_service_that_cannot_be_had_is_the_coordinators_error() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    let error = soon(remote.acquire(&needs(&["broken"]))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.message(), "it did not become ready");
    assert_eq!(error.context("for"), Some("shop::it orders"));
}

#[tokio::test]
async fn the_course_of_a_test_is_told() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    soon(remote.begin_body()).await.unwrap();
    assert_eq!(leasing.note().await, Note::BeginBody);
    let finished = Finished {
        outcome: Outcome::Failed,
        message: Some("no stock".to_owned()),
        setup: Duration::from_micros(1500),
        body: Duration::from_millis(2),
    };
    soon(remote.finished(&finished)).await.unwrap();
    assert_eq!(leasing.note().await, Note::Finished(finished));
}

#[tokio::test]
async fn operations_reach_the_service_and_answer() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    let db = handle("db");
    let restarted = soon(remote.restart(&db)).await.unwrap();
    assert_eq!(restarted.name(), "restarted");
    soon(remote.stop(&db)).await.unwrap();
    soon(remote.unpause(&db)).await.unwrap();
    let error = soon(remote.pause(&db)).await.unwrap_err();
    assert_eq!(error.message(), "it is shared");
    let health = soon(remote.health_check(&db)).await.unwrap();
    assert_eq!(health, HealthStatus::Degraded("db".to_owned()));
    let command = ["echo".to_owned(), "a b".to_owned()];
    let output = soon(remote.exec(&db, &command)).await.unwrap();
    assert_eq!(
        (output.code, output.stdout_text().as_str()),
        (-1, "echo a b")
    );
    assert_eq!(output.stderr, [0xff]);
    let expected = [
        Operation::Restart,
        Operation::Stop,
        Operation::Unpause,
        Operation::Pause,
        Operation::HealthCheck,
        Operation::Exec(command.to_vec()),
    ];
    for operation in expected {
        assert_eq!(leasing.note().await, Note::Operate(operation));
    }
}

#[tokio::test]
async fn logs_come_line_by_line() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    let since = UNIX_EPOCH + Duration::from_micros(1_500_000);
    let lines: Vec<_> = soon(remote.logs(&handle("db"), Some(since), false).try_collect())
        .await
        .unwrap();
    let [line]: [LogLine; 1] = lines.try_into().unwrap();
    assert_eq!(line.text, format!("{:?}, false", Some(since)));
    assert_eq!(line.stream, LogStream::Stderr);
    assert_eq!(line.at, UNIX_EPOCH + Duration::from_secs(7));
}

#[tokio::test]
async fn a_followed_log_gives_its_lines_before_it_ends() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    let mut lines = remote.logs(&handle("db"), None, true);
    let line = soon(lines.next()).await.unwrap().unwrap();
    assert_eq!(line.text, "None, true");
}

#[tokio::test]
async fn ten_megabytes_of_log_arrive() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    let lines: Vec<_> = soon(remote.logs(&handle("long"), None, false).try_collect())
        .await
        .unwrap();
    let lines: Vec<LogLine> = lines;
    assert_eq!(lines.len(), 10);
    assert!(lines[9].text.bytes().all(|byte| byte == b'9'));
    assert_eq!(lines[9].text.len(), 1 << 20);
}

#[tokio::test]
async fn a_log_that_breaks_gives_its_lines_first() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    let mut lines = remote.logs(&handle("breaks"), None, false);
    assert_eq!(soon(lines.next()).await.unwrap().unwrap().text, "one");
    let error = soon(lines.next()).await.unwrap().unwrap_err();
    assert_eq!(error.message(), "the log is gone");
    assert!(soon(lines.next()).await.is_none());
    let mut lines = remote.logs(&handle("unknown"), None, false);
    let error = soon(lines.next()).await.unwrap().unwrap_err();
    assert_eq!(error.message(), "it is not leased");
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let leasing = Leasing::new();
    let stranger = Token::random().unwrap();
    let error = soon(Remote::connect_to(leasing.server.socket(), &stranger))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.context("answer"),
        Some("this token is not, or no longer, one of the run's")
    );
}

#[tokio::test]
async fn a_test_that_is_over_is_refused() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    let other = leasing.reception.expect_test(attempt("other")).unwrap();
    drop(std::mem::replace(&mut leasing.ticket, other));
    let error = soon(remote.acquire(&needs(&["db"]))).await.unwrap_err();
    assert_eq!(
        error.context("answer"),
        Some("this token is not, or no longer, one of the run's")
    );
}

#[tokio::test]
async fn a_test_cannot_pose_as_a_host() {
    let leasing = Leasing::new();
    let connection = connect(leasing.server.socket(), leasing.ticket.token())
        .await
        .unwrap();
    let mut client = wire::hosts_client::HostsClient::new(connection);
    let status = soon(client.serve(stream::pending())).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn a_coordinator_that_is_gone_is_an_error_that_says_so() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    leasing.server.stop().await.unwrap();
    let error = soon(remote.begin_body()).await.unwrap_err();
    assert_eq!(error.message(), "`begin_body` got no answer");
    assert_eq!(
        error.hint(),
        Some("the coordinator, `cargo clnrm`, has ended or closed the connection")
    );
}

#[tokio::test]
async fn an_acquire_that_is_dropped_is_dropped_at_the_coordinator() {
    let mut leasing = Leasing::new();
    let remote = leasing.session().await;
    leasing.engine.behave(Behaviour::Hangs);
    let acquire = tokio::spawn(async move { remote.acquire(&needs(&["db"])).await.map(drop) });
    assert!(matches!(leasing.note().await, Note::Acquire(_)));
    acquire.abort();
    assert_eq!(leasing.note().await, Note::AcquireDropped);
}

#[test]
fn a_session_outlives_the_runtime_it_was_made_on_and_works_without_one() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let coordinator = tokio::runtime::Runtime::new().unwrap();
    let (leasing, remote) = coordinator.block_on(async {
        let leasing = Leasing::new();
        let socket = leasing.server.socket().to_owned();
        let token = leasing.ticket.token().clone();
        let remote = tokio::task::spawn_blocking(move || {
            runtime().block_on(Remote::connect_to(&socket, &token))
        });
        (leasing, remote.await.unwrap().unwrap())
    });
    runtime().block_on(remote.begin_body()).unwrap();
    // No runtime of the caller's at all, and a body that blocks one of its own.
    let other = remote.clone();
    clnrm_runtime::engine::block_on(async move { other.begin_body().await })
        .unwrap()
        .unwrap();
    let blocked = runtime().block_on(async {
        clnrm_runtime::engine::block_on(async move { remote.begin_body().await })
    });
    blocked.unwrap().unwrap();
    drop(leasing);
}

#[tokio::test]
async fn a_test_of_another_version_is_told_to_the_coordinator() {
    let mut leasing = Leasing::new();
    let connection = connect(leasing.server.socket(), leasing.ticket.token())
        .await
        .unwrap();
    let hello = wire::HelloRequest {
        version: VERSION + 1,
        release: "9.9.9".to_owned(),
        install: "cargo install".to_owned(),
        pid: 1,
    };
    let mut client = LeasesClient::new(connection);
    let welcome = soon(client.hello(hello));
    assert_eq!(welcome.await.unwrap().into_inner().version, VERSION);
    let Note::Skewed(skew) = leasing.note().await else {
        panic!("it was not told");
    };
    assert_eq!(skew.binary.release, "9.9.9");
}
