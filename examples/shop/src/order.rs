//! Orders, in Postgres: a checkout makes one of a cart, wholly or not at all.

use deadpool_postgres::{Client, Transaction};
use serde::Serialize;
use tokio_postgres::Row;

use crate::{App, Error, Line, cart};

/// The most that one listing holds, newest first.
const PAGE: i64 = 100;

/// What was bought, at the prices of that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Increasing, with gaps where a checkout failed.
    pub id: i64,
    /// The cart that it was made of.
    pub cart_id: String,
    /// By SKU.
    pub lines: Vec<Line>,
    /// The sum of the lines, in cents.
    pub total_cents: i64,
}

/// Makes an order of a cart: claims the cart, reserves the stock, takes the payment, clears the cart.
///
/// Whatever fails on the way rolls the transaction back, and the cart and the stock are as they were.
pub(crate) async fn checkout(app: &App, cart_id: &str) -> Result<Order, Error> {
    let quantities = app.carts.quantities(cart_id).await?;
    if quantities.is_empty() {
        return Err(Error::EmptyCart(cart_id.to_owned()));
    }
    let mut client = app.pool.get().await?;
    let transaction = client.transaction().await?;
    let id = claim(&transaction, cart_id).await?;
    let mut lines = Vec::new();
    // All checkouts reserve in the order of the SKUs, so that no two wait for each other.
    for (sku, quantity) in quantities {
        lines.push(reserve(&transaction, id, sku, quantity).await?);
    }
    let order = Order {
        id,
        cart_id: cart_id.to_owned(),
        total_cents: cart::total(&lines),
        lines,
    };
    if let Some(payment) = &app.payment {
        payment.charge(order.id, order.total_cents).await?;
    }
    transaction.commit().await?;
    // The order stands even if the cart does, which cannot be checked out again and expires by itself.
    if let Err(error) = app.carts.clear(cart_id).await {
        tracing::warn!("cart `{cart_id}` is bought and not cleared: {error}");
    }
    Ok(order)
}

/// Starts the order. A second checkout of the same cart waits here for the first, and proceeds only if that fails.
async fn claim(transaction: &Transaction<'_>, cart_id: &str) -> Result<i64, Error> {
    let insert = "INSERT INTO orders (cart_id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id";
    let row = transaction.query_opt(insert, &[&cart_id]).await?;
    let row = row.ok_or_else(|| Error::CheckedOut(cart_id.to_owned()))?;
    Ok(row.try_get("id")?)
}

/// Takes a quantity out of the stock and into the order.
async fn reserve(
    transaction: &Transaction<'_>,
    order: i64,
    sku: String,
    quantity: i64,
) -> Result<Line, Error> {
    let reserve = "
        WITH reserved AS (
            UPDATE products SET stock = stock - $3 WHERE sku = $2 AND stock >= $3 RETURNING sku, price_cents
        )
        INSERT INTO order_lines (order_id, sku, quantity, unit_price_cents)
        SELECT $1, sku, $3, price_cents FROM reserved RETURNING unit_price_cents";
    if let Some(row) = transaction
        .query_opt(reserve, &[&order, &sku, &quantity])
        .await?
    {
        return Ok(Line {
            sku,
            quantity,
            unit_price_cents: row.try_get("unit_price_cents")?,
        });
    }
    let row = transaction
        .query_opt("SELECT stock FROM products WHERE sku = $1", &[&sku])
        .await?;
    let stock = row.map_or(Ok(0), |row| row.try_get("stock"))?;
    Err(Error::OutOfStock {
        sku,
        wanted: quantity,
        stock,
    })
}

pub(crate) async fn find(client: &Client, id: i64) -> Result<Order, Error> {
    let select = "
        SELECT o.id, o.cart_id, l.sku, l.quantity, l.unit_price_cents
        FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE o.id = $1 ORDER BY l.sku";
    let orders = collect(&client.query(select, &[&id]).await?)?;
    orders.into_iter().next().ok_or_else(|| Error::NotFound {
        what: "order",
        id: id.to_string(),
    })
}

/// The latest orders, newest first.
pub(crate) async fn list(client: &Client) -> Result<Vec<Order>, Error> {
    let select = "
        SELECT o.id, o.cart_id, l.sku, l.quantity, l.unit_price_cents
        FROM (SELECT * FROM orders ORDER BY id DESC LIMIT $1) o JOIN order_lines l ON l.order_id = o.id
        ORDER BY o.id DESC, l.sku";
    Ok(collect(&client.query(select, &[&PAGE]).await?)?)
}

/// Gathers lines, which come order by order, into their orders.
fn collect(rows: &[Row]) -> Result<Vec<Order>, tokio_postgres::Error> {
    let mut orders: Vec<Order> = Vec::new();
    for row in rows {
        let id = row.try_get("id")?;
        let line = Line {
            sku: row.try_get("sku")?,
            quantity: row.try_get("quantity")?,
            unit_price_cents: row.try_get("unit_price_cents")?,
        };
        match orders.last_mut() {
            Some(order) if order.id == id => order.lines.push(line),
            _ => orders.push(Order {
                id,
                cart_id: row.try_get("cart_id")?,
                lines: vec![line],
                total_cents: 0,
            }),
        }
    }
    for order in &mut orders {
        order.total_cents = cart::total(&order.lines);
    }
    Ok(orders)
}
