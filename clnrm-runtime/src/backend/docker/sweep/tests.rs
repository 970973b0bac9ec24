//! A sweep of an engine that is slow or stuck, which a few lines of HTTP stand for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use testcontainers::bollard::API_DEFAULT_VERSION;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// An engine with one container, which is there until it was asked to remove
/// it `removals` times, and answers each time with the same.
struct Engine {
    docker: Docker,
    asked: Arc<AtomicUsize>,
}

impl Engine {
    async fn open(removals: usize, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &count, removals, answer).await;
            }
        });
        let docker = Docker::connect_with_http(&address, 5, API_DEFAULT_VERSION).unwrap();
        Self { docker, asked }
    }

    async fn sweep(&self, patience: Duration) -> Result<Vec<String>> {
        until_empty(&self.docker, &Filter::any_run(), patience).await
    }
}

async fn serve(mut stream: TcpStream, asked: &AtomicUsize, removals: usize, answer: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    let is_there = asked.load(Ordering::Relaxed) < removals;
    let (status, body) = match request.split('?').next().unwrap() {
        line if line.starts_with("DELETE") => {
            asked.fetch_add(1, Ordering::Relaxed);
            (
                answer,
                r#"{"message":"removal of container ab12 is already in progress"}"#,
            )
        }
        line if line.ends_with("/containers/json") && is_there => (
            "200 OK",
            r#"[{"Id":"ab12","Names":["/clnrm-db"],"Labels":{}}]"#,
        ),
        line if line.ends_with("/volumes") => ("200 OK", r#"{"Volumes":[]}"#),
        _ => ("200 OK", "[]"),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await.unwrap();
}

/// A container whose removal Docker has lost track of answers so for ever.
#[tokio::test]
async fn a_container_that_is_always_being_removed_ends_the_sweep_in_time() {
    let engine = Engine::open(usize::MAX, "409 Conflict").await;
    let begin = Instant::now();
    let sweep = engine.sweep(Duration::from_millis(600));
    let outcome = tokio::time::timeout(Duration::from_secs(60), sweep).await;
    let error = outcome.expect("the sweep goes on").unwrap_err();
    // It rests between two tries: at 0, 0.5 and 1 s at the most, and not thousands of times.
    let asked = engine.asked.load(Ordering::Relaxed);
    assert!((1..=3).contains(&asked), "asked {asked} times");
    assert!(begin.elapsed() > Duration::from_millis(600));
    insta::assert_snapshot!(error.report(), @r"
    cannot remove container clnrm-db: removal of container ab12 is already in progress
      engine: removal of container ab12 is already in progress
      left: container clnrm-db
      tried for: 600ms
      hint: look at the engine's own log and restart it, which ends what it began to remove; then run `cargo clnrm clean`
    ");
}

#[tokio::test]
async fn a_container_that_the_engine_lists_for_ever_ends_the_sweep_in_time() {
    let engine = Engine::open(usize::MAX, "404 Not Found").await;
    let sweep = engine.sweep(Duration::from_millis(600));
    let outcome = tokio::time::timeout(Duration::from_secs(60), sweep).await;
    let error = outcome.expect("the sweep goes on").unwrap_err();
    assert_eq!(error.message(), "what was removed is still there");
    assert_eq!(error.context("left"), Some("container clnrm-db"));
}

#[tokio::test]
async fn what_somebody_else_removes_is_waited_for() {
    let engine = Engine::open(2, "409 Conflict").await;
    let found = engine.sweep(PATIENCE).await.unwrap();
    assert_eq!(found, ["container clnrm-db"]);
}

#[tokio::test]
async fn a_single_try_leaves_to_somebody_else_what_that_one_removes() {
    let engine = Engine::open(usize::MAX, "409 Conflict").await;
    once(&engine.docker, &Filter::any_run()).await.unwrap();
    let engine = Engine::open(usize::MAX, "500 Internal Server Error").await;
    let error = once(&engine.docker, &Filter::any_run()).await.unwrap_err();
    assert!(
        error
            .message()
            .starts_with("cannot remove container clnrm-db: "),
        "{error:?}"
    );
}
