//! The HTTP API: what each route takes and answers. The work is done in the modules that it calls.

use axum::{
    Json, Router,
    extract::{
        Path, State,
        rejection::{JsonRejection, PathRejection},
    },
    http::{StatusCode, Uri},
    routing::{get, post, put},
};
use serde::Deserialize;

use crate::{
    App, Cart, Error, Order, Product,
    cart::MAX_QUANTITY,
    health, order,
    stock::{self, within},
};

/// The routes of the shop over its state.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(health::check))
        .route("/products", get(list_products).post(create_product))
        .route("/products/{sku}", get(show_product))
        .route("/products/{sku}/stock", post(restock))
        .route("/carts/{id}", get(show_cart).delete(clear_cart))
        .route("/carts/{id}/items", put(set_item))
        .route("/carts/{id}/checkout", post(checkout))
        .route("/orders", get(list_orders))
        .route("/orders/{id}", get(show_order))
        .fallback(async |url: Uri| Error::NotFound {
            what: "route",
            id: url.path().to_owned(),
        })
        .with_state(app)
}

/// A body, or why it is not one: taken as a result, so that the answer is our JSON and not axum's plain text.
type Body<T> = Result<Json<T>, JsonRejection>;

async fn list_products(State(app): State<App>) -> Result<Json<Vec<Product>>, Error> {
    let products = stock::list(&app.pool.get().await?, None).await?;
    Ok(Json(products))
}

async fn create_product(
    State(app): State<App>,
    body: Body<Product>,
) -> Result<(StatusCode, Json<Product>), Error> {
    let Json(product) = body?;
    stock::create(&app.pool.get().await?, &product).await?;
    Ok((StatusCode::CREATED, Json(product)))
}

async fn show_product(
    State(app): State<App>,
    Path(sku): Path<String>,
) -> Result<Json<Product>, Error> {
    let product = stock::find(&app.pool.get().await?, &sku).await?;
    Ok(Json(product))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restock {
    add: i64,
}

async fn restock(
    State(app): State<App>,
    Path(sku): Path<String>,
    body: Body<Restock>,
) -> Result<Json<Product>, Error> {
    let Json(Restock { add }) = body?;
    let product = stock::restock(&app.pool.get().await?, &sku, add).await?;
    Ok(Json(product))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    sku: String,
    quantity: i64,
}

async fn set_item(
    State(app): State<App>,
    Path(id): Path<String>,
    body: Body<Item>,
) -> Result<Json<Cart>, Error> {
    let Json(Item { sku, quantity }) = body?;
    within("quantity", quantity, 0, MAX_QUANTITY)?;
    stock::find(&app.pool.get().await?, &sku).await?;
    app.carts.set(&id, &sku, quantity).await?;
    show_cart(State(app), Path(id)).await
}

async fn show_cart(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Cart>, Error> {
    let quantities = app.carts.quantities(&id).await?;
    let skus: Vec<_> = quantities.keys().collect();
    let products = stock::list(&app.pool.get().await?, Some(&skus)).await?;
    Ok(Json(Cart::priced(id, &quantities, &products)))
}

async fn clear_cart(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Error> {
    app.carts.clear(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn checkout(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Order>), Error> {
    let order = order::checkout(&app, &id).await?;
    Ok((StatusCode::CREATED, Json(order)))
}

async fn list_orders(State(app): State<App>) -> Result<Json<Vec<Order>>, Error> {
    let orders = order::list(&app.pool.get().await?).await?;
    Ok(Json(orders))
}

async fn show_order(
    State(app): State<App>,
    id: Result<Path<i64>, PathRejection>,
) -> Result<Json<Order>, Error> {
    let Path(id) = id?;
    let order = order::find(&app.pool.get().await?, id).await?;
    Ok(Json(order))
}
