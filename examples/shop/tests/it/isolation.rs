//! Tests that would collide if slices leaked: each writes the same rows and the same keys.

use clnrm::Result;
use clnrm::redis::Redis;
use serde_json::Value;

use crate::api::{buy, stocked};
use crate::client::get;
use crate::service::{OrdersDb, Shop};

async fn the_first_customer_buys_everything(shop: &Shop) -> Result<()> {
    let url = shop.url()?;
    stocked(&url, "tea", 1).await?;
    buy(&url, "everybody", "tea", 1).await?;
    let (_, orders) = get(&format!("{url}/orders")).await?;
    assert_eq!(orders.as_array().map(Vec::len), Some(1), "{orders}");
    assert_ne!(orders, Value::Null);
    Ok(())
}

#[clnrm::test]
async fn one_customer_is_alone(shop: &Shop) -> Result<()> {
    the_first_customer_buys_everything(shop).await
}

#[clnrm::test]
async fn another_customer_is_alone_too(shop: &Shop) -> Result<()> {
    the_first_customer_buys_everything(shop).await
}

async fn nobody_was_here(db: &OrdersDb, cache: &Redis) -> Result<(), Box<dyn std::error::Error>> {
    let client = db.connect().await?;
    let insert =
        "INSERT INTO products (sku, name, price_cents, stock) VALUES ('same', 'Same', 1, 1)";
    client.execute(insert, &[]).await?;
    let mut connection = cache.client()?.get_multiplexed_async_connection().await?;
    let seen: i64 = redis::cmd("INCR")
        .arg("same")
        .query_async(&mut connection)
        .await?;
    assert_eq!(seen, 1);
    Ok(())
}

#[clnrm::test]
async fn the_same_row_and_key(
    db: OrdersDb,
    cache: Redis,
) -> Result<(), Box<dyn std::error::Error>> {
    nobody_was_here(&db, &cache).await
}

#[clnrm::test]
async fn the_same_row_and_key_again(
    db: OrdersDb,
    cache: Redis,
) -> Result<(), Box<dyn std::error::Error>> {
    nobody_was_here(&db, &cache).await
}
