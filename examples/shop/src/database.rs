//! The pool of Postgres connections, and the tables. The API itself never migrates: a deployment, or a test, does.

use std::time::Duration;

use deadpool_postgres::{Manager, Pool, Runtime, Timeouts};
use tokio_postgres::NoTls;

use crate::StartError;

/// How long a request waits for a connection before it is answered with 503.
const PATIENCE: Duration = Duration::from_secs(5);

const MIGRATIONS: [(&str, &str); 2] = [
    (
        "0001_products.sql",
        include_str!("../migrations/0001_products.sql"),
    ),
    (
        "0002_orders.sql",
        include_str!("../migrations/0002_orders.sql"),
    ),
];

/// A pool that connects when it is first asked for a connection.
///
/// # Errors
/// When the pool's settings contradict each other.
pub fn pool(config: tokio_postgres::Config) -> Result<Pool, StartError> {
    let timeouts = Timeouts {
        wait: Some(PATIENCE),
        create: Some(PATIENCE),
        recycle: Some(PATIENCE),
    };
    let pool = Pool::builder(Manager::new(config, NoTls))
        .runtime(Runtime::Tokio1)
        .timeouts(timeouts)
        .build()?;
    Ok(pool)
}

/// Applies the migrations that this database has not seen yet, each in a transaction of its own.
///
/// # Errors
/// Names the migration that was refused; those before it stay applied.
pub async fn migrate(pool: &Pool) -> Result<(), StartError> {
    let mut client = pool.get().await?;
    for (name, sql) in MIGRATIONS {
        let failed = |source| StartError::Migration { name, source };
        let transaction = client.transaction().await.map_err(failed)?;
        // The lock makes two migrations at once follow each other.
        let journal = "SELECT pg_advisory_xact_lock(hashtext('shop_migrations'));
            SET LOCAL client_min_messages = warning;
            CREATE TABLE IF NOT EXISTS shop_migrations (name text PRIMARY KEY)";
        transaction.batch_execute(journal).await.map_err(failed)?;
        let new = "INSERT INTO shop_migrations VALUES ($1) ON CONFLICT DO NOTHING";
        if transaction.execute(new, &[&name]).await.map_err(failed)? == 1 {
            transaction.batch_execute(sql).await.map_err(failed)?;
            tracing::info!("applied `{name}`");
        }
        transaction.commit().await.map_err(failed)?;
    }
    Ok(())
}
