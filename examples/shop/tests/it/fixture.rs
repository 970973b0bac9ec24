//! The app under test, built in this process from services: the usual Rust fixture.

use clnrm::redis::Redis;
use clnrm::{CleanroomError, Fixture, Result};
use serde_json::json;
use tokio::net::TcpListener;

use crate::client::{get, post};
use crate::service::OrdersDb;

/// The shop on a port of its own, as long as the test runs.
struct App {
    url: String,
}

impl Fixture for App {
    type Needs = (OrdersDb, Redis);

    async fn set_up((db, cache): Self::Needs) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| {
            CleanroomError::service_error(format!("cannot build the app: {error}"))
        };
        let carts = shop::Carts::connect(cache.client()?)
            .await
            .map_err(|error| failed(&error))?;
        let app = shop::App::new(db.pool()?, carts);
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        tokio::spawn(async move { axum::serve(listener, shop::router(app)).await });
        Ok(Self {
            url: format!("http://{address}"),
        })
    }
}

#[clnrm::test]
async fn lists_what_was_added(app: App) -> Result<()> {
    let url = format!("{}/products", app.url);
    post(&url, &json!({ "sku": "a", "name": "A", "price_cents": 1 })).await?;
    let (_, products) = get(&url).await?;
    assert_eq!(
        products,
        json!([{ "sku": "a", "name": "A", "price_cents": 1, "stock": 0 }])
    );
    Ok(())
}
