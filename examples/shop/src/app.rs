//! The state behind every route: the two stores, and the payment provider if there is one.

use std::net::SocketAddr;

use deadpool_postgres::Pool;

use crate::{Carts, Config, Payment, database};

/// Everything a request needs. Cloning it shares the connections.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) pool: Pool,
    pub(crate) carts: Carts,
    pub(crate) payment: Option<Payment>,
}

impl App {
    /// A shop over these stores that takes no payment.
    pub fn new(pool: Pool, carts: Carts) -> Self {
        Self {
            pool,
            carts,
            payment: None,
        }
    }

    /// Charges every order through `payment`.
    #[must_use]
    pub fn with_payment(self, payment: Payment) -> Self {
        Self {
            payment: Some(payment),
            ..self
        }
    }

    /// Connects to what the configuration names, and checks that both stores answer.
    ///
    /// # Errors
    /// Says which store could not be reached; the reason is the source.
    pub async fn connect(config: Config) -> Result<Self, StartError> {
        let pool = database::pool(config.database)?;
        drop(pool.get().await?);
        let carts = Carts::connect(config.redis).await?;
        let app = Self::new(pool, carts);
        Ok(match config.payment {
            Some(url) => app.with_payment(Payment::new(&url)),
            None => app,
        })
    }
}

/// Why the shop did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No connection to Postgres.
    #[error("cannot connect to postgres (hint: is `DATABASE_URL` right, and the server up?)")]
    Postgres(#[from] deadpool_postgres::PoolError),
    /// No connection to Redis.
    #[error("cannot connect to redis (hint: is `REDIS_URL` right, and the server up?)")]
    Redis(#[from] redis::RedisError),
    /// The connection pool could not be made.
    #[error("cannot make a pool of postgres connections")]
    Pool(#[from] deadpool_postgres::BuildError),
    /// A migration was refused.
    #[error("cannot apply the migration `{name}`")]
    Migration {
        /// The file's name.
        name: &'static str,
        /// What Postgres said.
        source: tokio_postgres::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
