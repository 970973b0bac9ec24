//! A client for JSON over HTTP, as short as tests like it.

use clnrm::{CleanroomError, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// An answer: the status, and the body as JSON, `null` where it is none.
pub(crate) type Answer = (StatusCode, Value);

/// Sends `body` to `url` and reads the answer.
pub(crate) async fn send(method: Method, url: &str, body: &Value) -> Result<Answer> {
    let failed =
        |error: String| CleanroomError::service_error(format!("no answer from `{url}`: {error}"));
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|error| failed(error.to_string()))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await;
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    let status = answer.status();
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| failed(error.to_string()))?.to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// Sends a GET.
pub(crate) async fn get(url: &str) -> Result<Answer> {
    send(Method::GET, url, &Value::Null).await
}

/// Sends a POST.
pub(crate) async fn post(url: &str, body: &Value) -> Result<Answer> {
    send(Method::POST, url, body).await
}

/// Sends a PUT.
pub(crate) async fn put(url: &str, body: &Value) -> Result<Answer> {
    send(Method::PUT, url, body).await
}
