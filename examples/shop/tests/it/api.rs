//! Through HTTP, and what it leaves in the database.

use clnrm::Result;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::{get, post, put};
use crate::service::{Carts, OrdersDb, Shop};

/// A product with `stock` pieces.
pub(crate) async fn stocked(shop: &str, sku: &str, stock: u32) -> Result<()> {
    let tea = json!({ "sku": sku, "name": "Tea", "price_cents": 450, "stock": stock });
    let (status, _) = post(&format!("{shop}/products"), &tea).await?;
    assert_eq!(status, StatusCode::CREATED);
    Ok(())
}

/// A cart with `quantity` of a product, checked out.
pub(crate) async fn buy(
    shop: &str,
    cart: &str,
    sku: &str,
    quantity: u32,
) -> Result<(StatusCode, Value)> {
    let item = json!({ "sku": sku, "quantity": quantity });
    put(&format!("{shop}/carts/{cart}/items"), &item).await?;
    post(&format!("{shop}/carts/{cart}/checkout"), &Value::Null).await
}

#[clnrm::test]
async fn the_shop_says_how_its_stores_are(shop: Shop) -> Result<()> {
    let (status, body) = get(&format!("{}/healthz", shop.url()?)).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["postgres"], "ok");
    assert_eq!(body["redis"], "ok");
    Ok(())
}

#[clnrm::test]
async fn a_cart_adds_up(shop: Shop) -> Result<()> {
    let url = shop.url()?;
    stocked(&url, "tea", 10).await?;
    let item = json!({ "sku": "tea", "quantity": 3 });
    let (status, cart) = put(&format!("{url}/carts/c1/items"), &item).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(cart["total_cents"], 1350);
    Ok(())
}

#[clnrm::test]
async fn checkout_reserves_stock(
    shop: Shop,
    db: OrdersDb,
) -> Result<(), Box<dyn std::error::Error>> {
    let url = shop.url()?;
    stocked(&url, "tea", 10).await?;
    let (status, _) = buy(&url, "c1", "tea", 3).await?;
    assert_eq!(status, StatusCode::CREATED);
    // `db` is the very database that this test's `shop` uses.
    let client = db.connect().await?;
    let row = client
        .query_one("SELECT stock::int4 FROM products WHERE sku = 'tea'", &[])
        .await?;
    assert_eq!(row.get::<_, i32>(0), 7);
    Ok(())
}

#[clnrm::test]
async fn a_short_stock_changes_nothing(
    shop: Shop,
    db: OrdersDb,
) -> Result<(), Box<dyn std::error::Error>> {
    let url = shop.url()?;
    stocked(&url, "tea", 1).await?;
    let (status, body) = buy(&url, "c1", "tea", 2).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(body["error"], "out_of_stock");
    let client = db.connect().await?;
    let row = client.query_one("SELECT count(*) FROM orders", &[]).await?;
    assert_eq!(row.get::<_, i64>(0), 0);
    Ok(())
}

#[clnrm::test]
async fn an_order_can_be_read_again(shop: Shop) -> Result<()> {
    let url = shop.url()?;
    stocked(&url, "tea", 5).await?;
    let (_, order) = buy(&url, "c1", "tea", 2).await?;
    let (status, again) = get(&format!("{url}/orders/{}", order["id"])).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(again, order);
    Ok(())
}

#[clnrm::test]
async fn checkout_empties_the_cart(
    shop: Shop,
    carts: Carts,
) -> Result<(), Box<dyn std::error::Error>> {
    let url = shop.url()?;
    stocked(&url, "tea", 5).await?;
    buy(&url, "c1", "tea", 2).await?;
    let mut connection = carts.client()?.get_multiplexed_async_connection().await?;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("cart:*")
        .query_async(&mut connection)
        .await?;
    assert_eq!(keys, Vec::<String>::new());
    Ok(())
}
