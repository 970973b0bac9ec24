//! A payment provider that is slow to start, for tests: somebody else's service that one cannot have in a test.
//!
//! It listens at once but answers 503 until `WARMUP_MS` (default 300) have passed. Then it accepts every charge, but
//! for amounts that end in 13 cents.

use std::{
    error::Error,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use shop::{Charge, config};

#[tokio::main]
async fn main() -> ExitCode {
    shop::run(start()).await
}

async fn start() -> Result<(), Box<dyn Error>> {
    let warmup = config::optional(&config::from_env, "WARMUP_MS", "300", |text| text.parse())?;
    let warm_at = Instant::now() + Duration::from_millis(warmup.unwrap_or(300));
    let router = Router::new()
        .route("/healthz", get("ok"))
        .route("/charges", get(list).post(charge))
        .layer(middleware::from_fn_with_state(warm_at, refuse_until_warm))
        .with_state(Charges::default());
    shop::serve(config::listen(&config::from_env)?, router).await?;
    Ok(())
}

/// The accepted charges, oldest first.
type Charges = Arc<Mutex<Vec<Charge>>>;

async fn refuse_until_warm(
    State(warm_at): State<Instant>,
    request: Request,
    next: Next,
) -> Response {
    if Instant::now() < warm_at {
        return (StatusCode::SERVICE_UNAVAILABLE, "warming up").into_response();
    }
    next.run(request).await
}

async fn charge(State(charges): State<Charges>, Json(charge): Json<Charge>) -> Response {
    if charge.amount_cents % 100 == 13 {
        return (StatusCode::PAYMENT_REQUIRED, "the bank is superstitious").into_response();
    }
    charges
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(charge.clone());
    (StatusCode::CREATED, Json(charge)).into_response()
}

async fn list(State(charges): State<Charges>) -> Json<Vec<Charge>> {
    Json(
        charges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
    )
}
