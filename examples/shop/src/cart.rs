//! Carts: what a customer wants, kept in Redis as a hash from SKU to quantity until it is bought or forgotten.

use std::{collections::BTreeMap, fmt, time::Duration};

use redis::{
    FromRedisValue, Pipeline, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use serde::Serialize;

use crate::Product;

/// How long after its last change a cart is forgotten.
const TTL: Duration = Duration::from_hours(7 * 24);

/// How long to wait before the one further attempt to connect: a request is better failed than kept waiting.
const RECONNECT_DELAY: Duration = Duration::from_millis(50);

/// The most of one product that a cart holds.
pub(crate) const MAX_QUANTITY: i64 = 999;

/// A cart with today's prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cart {
    /// The name that the client gave it.
    pub id: String,
    /// By SKU.
    pub lines: Vec<Line>,
    /// The sum of the lines, in cents.
    pub total_cents: i64,
}

/// Some of one product, at one price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The product.
    pub sku: String,
    /// How many of it.
    pub quantity: i64,
    /// What one costs, in cents.
    pub unit_price_cents: i64,
}

impl Cart {
    /// Prices the quantities of a cart. What is no longer sold has no price and drops out.
    pub(crate) fn priced(
        id: String,
        quantities: &BTreeMap<String, i64>,
        products: &[Product],
    ) -> Self {
        let prices: BTreeMap<_, _> = products
            .iter()
            .map(|product| (&product.sku, product.price_cents))
            .collect();
        let line = |(sku, quantity): (&String, &i64)| {
            let unit_price_cents = *prices.get(sku)?;
            Some(Line {
                sku: sku.clone(),
                quantity: *quantity,
                unit_price_cents,
            })
        };
        let lines: Vec<_> = quantities.iter().filter_map(line).collect();
        let total_cents = total(&lines);
        Self {
            id,
            lines,
            total_cents,
        }
    }
}

/// The sum of some lines, in cents. The limits of prices and quantities keep it far from overflowing.
pub(crate) fn total(lines: &[Line]) -> i64 {
    lines
        .iter()
        .map(|line| line.quantity * line.unit_price_cents)
        .sum()
}

/// The carts of all customers. Cloning it shares the connection.
#[derive(Clone)]
pub struct Carts {
    redis: ConnectionManager,
}

impl Carts {
    /// Connects; the connection is made anew whenever it breaks.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn connect(client: redis::Client) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(RECONNECT_DELAY);
        let redis = ConnectionManager::new_with_config(client, config).await?;
        Ok(Self { redis })
    }

    /// Sets how many of a product a cart holds; zero takes it out.
    pub(crate) async fn set(&self, id: &str, sku: &str, quantity: i64) -> Result<(), RedisError> {
        let mut commands = redis::pipe();
        match quantity {
            0 => commands.atomic().hdel(key(id), sku),
            _ => commands.atomic().hset(key(id), sku, quantity),
        };
        self.run(
            commands
                .ignore()
                .expire(key(id), TTL.as_secs().cast_signed())
                .ignore(),
        )
        .await
    }

    /// The quantities by SKU; a cart that is not there is empty.
    pub(crate) async fn quantities(&self, id: &str) -> Result<BTreeMap<String, i64>, RedisError> {
        let (quantities,) = self.run(redis::pipe().hgetall(key(id))).await?;
        Ok(quantities)
    }

    /// Forgets a cart.
    pub(crate) async fn clear(&self, id: &str) -> Result<(), RedisError> {
        self.run(redis::pipe().del(key(id)).ignore()).await
    }

    /// Asks whether Redis is there.
    pub(crate) async fn ping(&self) -> Result<(), RedisError> {
        self.run(redis::pipe().ping().ignore()).await
    }

    /// Runs commands, and runs them again if the connection turns out to be dead, as after a restart of Redis. All
    /// commands here may run twice: they set values and do not change them step by step.
    async fn run<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, RedisError> {
        let mut redis = self.redis.clone();
        match commands.query_async(&mut redis).await {
            Err(error) if error.is_connection_dropped() => commands.query_async(&mut redis).await,
            result => result,
        }
    }
}

impl fmt::Debug for Carts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Carts").finish_non_exhaustive()
    }
}

fn key(id: &str) -> String {
    format!("cart:{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(sku: &str, price_cents: i64) -> Product {
        Product {
            sku: sku.to_owned(),
            name: sku.to_owned(),
            price_cents,
            stock: 0,
        }
    }

    #[test]
    fn a_cart_costs_the_sum_of_its_lines() {
        let quantities = BTreeMap::from([("cup".to_owned(), 3), ("tea".to_owned(), 2)]);
        let cart = Cart::priced(
            "c".to_owned(),
            &quantities,
            &[product("tea", 450), product("cup", 1_299)],
        );
        let lines: Vec<_> = cart
            .lines
            .iter()
            .map(|line| (line.sku.as_str(), line.unit_price_cents))
            .collect();
        assert_eq!(lines, [("cup", 1_299), ("tea", 450)]);
        assert_eq!(cart.total_cents, 4_797);
    }

    #[test]
    fn what_is_no_longer_sold_costs_nothing() {
        let quantities = BTreeMap::from([("gone".to_owned(), 9), ("tea".to_owned(), 1)]);
        let cart = Cart::priced("c".to_owned(), &quantities, &[product("tea", 450)]);
        assert_eq!((cart.lines.len(), cart.total_cents), (1, 450));
    }

    #[test]
    fn the_dearest_full_cart_does_not_overflow() {
        let line = Line {
            sku: "gold".to_owned(),
            quantity: MAX_QUANTITY,
            unit_price_cents: crate::stock::MAX_PRICE_CENTS,
        };
        assert_eq!(total(&vec![line; 10_000]), 999_000_000_000_000);
    }
}
