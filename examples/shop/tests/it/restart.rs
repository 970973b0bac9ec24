//! What survives when a store goes away for a moment.

use clnrm::Result;
use serde_json::json;

use crate::api::stocked;
use crate::client::{get, put};
use crate::service::{Carts, Shop};

#[clnrm::test(timeout = "30s")]
async fn carts_survive_a_restart_of_redis(shop: Shop, carts: Carts) -> Result<()> {
    let url = shop.url()?;
    stocked(&url, "tea", 5).await?;
    put(
        &format!("{url}/carts/c1/items"),
        &json!({ "sku": "tea", "quantity": 2 }),
    )
    .await?;
    carts.restart().await?;
    let (_, cart) = get(&format!("{url}/carts/c1")).await?;
    assert_eq!(cart["total_cents"], 900, "{cart}");
    Ok(())
}
