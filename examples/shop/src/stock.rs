//! Products and how much is left of each, in Postgres.

use deadpool_postgres::Client;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use crate::Error;

/// The dearest price, in cents: a million.
pub(crate) const MAX_PRICE_CENTS: i64 = 100_000_000;

/// The most that a product is created or restocked with.
const MAX_STOCK: i64 = 1_000_000;

/// Something for sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The name that carts and orders use.
    pub sku: String,
    /// The name that people use.
    pub name: String,
    /// In cents.
    pub price_cents: i64,
    /// How many are left.
    #[serde(default)]
    pub stock: i64,
}

impl Product {
    fn check(&self) -> Result<(), Error> {
        if self.sku.is_empty() || self.name.is_empty() {
            return Err(Error::Invalid(
                "a product needs a `sku` and a `name`".to_owned(),
            ));
        }
        within("price_cents", self.price_cents, 0, MAX_PRICE_CENTS)?;
        within("stock", self.stock, 0, MAX_STOCK)
    }

    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            sku: row.try_get("sku")?,
            name: row.try_get("name")?,
            price_cents: row.try_get("price_cents")?,
            stock: row.try_get("stock")?,
        })
    }
}

/// Refuses a number out of bounds, and says the bounds.
pub(crate) fn within(name: &str, value: i64, least: i64, most: i64) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "`{name}` is {value}, and must be from {least} to {most}"
    )))
}

pub(crate) async fn create(client: &Client, product: &Product) -> Result<(), Error> {
    product.check()?;
    let Product {
        sku,
        name,
        price_cents,
        stock,
    } = product;
    let insert = "INSERT INTO products (sku, name, price_cents, stock) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    match client
        .execute(insert, &[sku, name, price_cents, stock])
        .await?
    {
        0 => Err(Error::ProductExists(sku.clone())),
        _ => Ok(()),
    }
}

/// All products by SKU, or the named ones among them.
pub(crate) async fn list(client: &Client, skus: Option<&[&String]>) -> Result<Vec<Product>, Error> {
    let select = "SELECT * FROM products WHERE $1::text[] IS NULL OR sku = ANY ($1) ORDER BY sku";
    let rows = client.query(select, &[&skus]).await?;
    Ok(rows
        .iter()
        .map(Product::from_row)
        .collect::<Result<_, _>>()?)
}

pub(crate) async fn find(client: &Client, sku: &str) -> Result<Product, Error> {
    let row = client
        .query_opt("SELECT * FROM products WHERE sku = $1", &[&sku])
        .await?;
    product_or_not_found(row, sku)
}

/// Adds to the stock, which concurrent checkouts may be taking from.
pub(crate) async fn restock(client: &Client, sku: &str, add: i64) -> Result<Product, Error> {
    within("add", add, 1, MAX_STOCK)?;
    let update = "UPDATE products SET stock = stock + $2 WHERE sku = $1 RETURNING *";
    product_or_not_found(client.query_opt(update, &[&sku, &add]).await?, sku)
}

fn product_or_not_found(row: Option<Row>, sku: &str) -> Result<Product, Error> {
    let row = row.ok_or_else(|| Error::NotFound {
        what: "product",
        id: sku.to_owned(),
    })?;
    Ok(Product::from_row(&row)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_out_of_bounds_is_refused() {
        #[track_caller]
        fn check(sku: &str, price_cents: i64, stock: i64, message: Option<&str>) {
            let product = Product {
                sku: sku.to_owned(),
                name: "Tea".to_owned(),
                price_cents,
                stock,
            };
            assert_eq!(
                product
                    .check()
                    .err()
                    .map(|error| error.to_string())
                    .as_deref(),
                message
            );
        }
        check("tea", 0, 0, None);
        check("tea", MAX_PRICE_CENTS, MAX_STOCK, None);
        check("", 1, 1, Some("a product needs a `sku` and a `name`"));
        check(
            "tea",
            -1,
            1,
            Some("`price_cents` is -1, and must be from 0 to 100000000"),
        );
        check(
            "tea",
            1,
            1_000_001,
            Some("`stock` is 1000001, and must be from 0 to 1000000"),
        );
    }
}
