//! Paying: with a provider that takes its time to start.

use clnrm::Result;
use hyper::StatusCode;
use serde_json::json;

use crate::api::{buy, stocked};
use crate::client::{get, post};
use crate::service::{PaidShop, SlowPay};

#[clnrm::test]
async fn a_purchase_is_charged(shop: PaidShop, payment: SlowPay) -> Result<()> {
    let url = shop.url()?;
    stocked(&url, "tea", 5).await?;
    let (status, order) = buy(&url, "c1", "tea", 2).await?;
    assert_eq!(status, StatusCode::CREATED);
    let (_, charges) = get(&format!("{}/charges", payment.url()?)).await?;
    assert_eq!(
        charges,
        json!([{ "order_id": order["id"], "amount_cents": 900 }])
    );
    Ok(())
}

#[clnrm::test]
async fn a_declined_payment_is_no_order(shop: PaidShop) -> Result<()> {
    let url = shop.url()?;
    let unlucky = json!({ "sku": "cat", "name": "Cat", "price_cents": 113, "stock": 1 });
    post(&format!("{url}/products"), &unlucky).await?;
    let (status, body) = buy(&url, "c1", "cat", 1).await?;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(body["error"], "declined");
    let (_, orders) = get(&format!("{url}/orders")).await?;
    assert_eq!(orders, json!([]));
    Ok(())
}
