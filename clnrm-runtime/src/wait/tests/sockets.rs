//! HTTP and TCP waits against real sockets on loopback.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that gives each connection the next of `answers`, and the last of
/// them for ever. `None` keeps the connection open and says nothing.
async fn serve(answers: Vec<Option<&'static str>>) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    tokio::spawn(async move {
        let mut silent = Vec::new();
        for turn in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            match answers[turn.min(answers.len() - 1)] {
                None => silent.push(stream),
                Some(answer) => {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        }
    });
    endpoint
}

async fn wait_at(endpoint: Endpoint, wait: Wait) -> Result<Readiness> {
    let endpoints = BTreeMap::from([("main".to_owned(), endpoint)]);
    let ready = || async { Ok(()) }.boxed();
    wait_with(&Fake::new(), wait, endpoints, &ready).await
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall good\n";
const BUSY: &str = "HTTP/1.1 503 Busy\r\ncontent-length: 5\r\n\r\nwait\n";

#[tokio::test]
async fn http_goes_on_until_the_status_is_right() {
    let endpoint = serve(vec![
        Some(""),
        Some(BUSY),
        Some("nonsense\r\n\r\n"),
        Some(OK),
    ])
    .await;
    let readiness = wait_at(endpoint, Wait::http("/health")).await.unwrap();
    // Four answers and one look at whether it runs; what a busy machine delays is asked for again.
    assert!(readiness.probes >= 5, "{readiness:?}");
}

#[tokio::test]
async fn http_compares_status_and_body() {
    let wait = |status, body: &str| Wait::Http {
        port: Some("main".to_owned()),
        path: "/health".to_owned(),
        status,
        body: Some(body.to_owned()),
    };
    let endpoint = serve(vec![Some(OK), Some(BUSY)]).await;
    let readiness = wait_at(endpoint, wait(Some(503), "^wait")).await.unwrap();
    assert!(readiness.probes >= 3, "{readiness:?}");
    let endpoint = serve(vec![Some(BUSY), Some(OK)]).await;
    let readiness = wait_at(endpoint, wait(None, "good")).await.unwrap();
    assert!(readiness.probes >= 3, "{readiness:?}");
}

#[tokio::test]
async fn a_half_open_connection_is_given_up_and_made_again() {
    let endpoint = serve(vec![None, Some(OK)]).await;
    let readiness = wait_at(endpoint, Wait::http("/")).await.unwrap();
    assert!(readiness.probes >= 3, "{readiness:?}");
}

#[tokio::test]
async fn refused_connections_are_made_again_until_something_listens() {
    // Nobody else is given it.
    let port = crate::backend::process::port::reserve().unwrap();
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port,
    };
    let late = async {
        crate::wait::backoff::rest(Duration::from_millis(50)).await;
        TcpListener::bind(("127.0.0.1", port)).await.unwrap()
    };
    let wait = wait_at(endpoint, Wait::Tcp { port: None });
    let (readiness, _listener) = tokio::join!(wait, late);
    assert!(readiness.unwrap().elapsed >= Duration::from_millis(50));
}
