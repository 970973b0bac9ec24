//! Waits for an HTTP answer: one GET on a connection of its own.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use regex::Regex;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::log::not_a_regex;
use crate::error::Result;
use crate::service::Endpoint;

/// Bytes of a body that are looked at.
const MOST_BODY: usize = 1 << 20;

/// How long the body of an answer that is wrong already may take.
const BODY_PATIENCE: Duration = Duration::from_millis(200);

/// Characters of a body that an error shows.
const SHOWN_BODY: usize = 200;

/// The answer that is waited for.
#[derive(Debug)]
pub(super) struct Expectation {
    path: String,
    status: Option<u16>,
    body: Option<Regex>,
}

impl Expectation {
    pub(super) fn new(path: &str, status: Option<u16>, body: Option<&str>) -> Result<Self> {
        let body =
            body.map(|pattern| Regex::new(pattern).map_err(|error| not_a_regex(pattern, error)));
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self {
            path: format!("{slash}{path}"),
            status,
            body: body.transpose()?,
        })
    }

    fn accepts(&self, status: u16) -> bool {
        match self.status {
            Some(expected) => status == expected,
            None => (200..400).contains(&status),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET {} to answer ", self.path)?;
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("200 to 399")?,
        }
        match &self.body {
            Some(body) => write!(f, " with a body that matches `{body}`"),
            None => Ok(()),
        }
    }
}

/// Asks once. The error is what came instead.
pub(super) async fn probe(endpoint: &Endpoint, expected: &Expectation) -> Result<(), String> {
    let address = (endpoint.host.as_str(), endpoint.port);
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("cannot connect to {endpoint}: {error}"))?;
    let broken = |error: hyper::Error| format!("{endpoint} gave no HTTP answer: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Dropped with the probe, and the connection with it.
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(&expected.path)
        .header(HOST, endpoint.to_string())
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("`{}` is no path: {error}", expected.path))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    match &expected.body {
        _ if !expected.accepts(status) => {
            let body = timeout(BODY_PATIENCE, text(response)).await;
            Err(shown(status, body.ok().and_then(Result::ok)))
        }
        None => Ok(()),
        Some(regex) => {
            let body = text(response).await?;
            if regex.is_match(&body) {
                return Ok(());
            }
            Err(shown(status, Some(body)))
        }
    }
}

async fn text(response: Response<Incoming>) -> Result<String, String> {
    let body = Limited::new(response.into_body(), MOST_BODY);
    let bytes = body.collect().await;
    let bytes = bytes.map_err(|error| format!("the body broke off: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes.to_bytes()).into_owned())
}

fn shown(status: u16, body: Option<String>) -> String {
    let body = body.unwrap_or_default();
    match body.trim() {
        "" => format!("status {status}"),
        body => format!(
            "status {status}: {}",
            body.chars().take(SHOWN_BODY).collect::<String>()
        ),
    }
}
