//! `GET /healthz`: asks both stores, and says which is down.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{App, Error, error::chain};

/// How long a store may take to answer before it counts as down.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) async fn check(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let (postgres, redis) = tokio::join!(
        verdict(async { Ok(app.pool.get().await?.batch_execute("SELECT 1").await?) }),
        verdict(async { Ok(app.carts.ping().await?) }),
    );
    let (status, word) = if postgres.is_ok() && redis.is_ok() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "down")
    };
    let text = |store: Result<(), String>| store.err().unwrap_or_else(|| "ok".to_owned());
    (
        status,
        Json(json!({ "status": word, "postgres": text(postgres), "redis": text(redis) })),
    )
}

async fn verdict(question: impl Future<Output = Result<(), Error>>) -> Result<(), String> {
    match timeout(PATIENCE, question).await {
        Ok(answer) => answer.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no answer in {PATIENCE:?}")),
    }
}
