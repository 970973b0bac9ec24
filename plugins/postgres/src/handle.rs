//! What a test holds of a running PostgreSQL.

use clnrm_runtime::service::Login;
use clnrm_runtime::{CleanroomError, Result};
use tokio_postgres::{Client, Config, NoTls};

clnrm_runtime::handle! {
    /// A running PostgreSQL, or the database of one that a test owns.
    ///
    /// It derefs to [`ServiceHandle`](clnrm_runtime::ServiceHandle): `url()` is
    /// `postgres://user:password@host:port/database`.
    pub struct Postgres: "postgres", exports Login::EXPORTS, plugin crate::plugin();
}

impl Postgres {
    /// How to connect to it.
    ///
    /// # Errors
    /// When the handle is not that of a PostgreSQL.
    pub fn config(&self) -> Result<Config> {
        self.url()?.parse().map_err(|error: tokio_postgres::Error| {
            CleanroomError::validation_error(format!("`{}` has no PostgreSQL URL", self.name()))
                .with_source(error)
        })
    }

    /// Connects. The connection lives on the runtime of the caller, and ends
    /// with the client.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn connect(&self) -> Result<Client> {
        let connected = self.config()?.connect(NoTls).await;
        let (client, connection) =
            connected.map_err(|error| crate::server::refused("connect", error))?;
        // An error of the connection is an error of the query that waits for it.
        tokio::spawn(connection);
        Ok(client)
    }

    /// A pool of up to four connections on the runtime of the caller.
    ///
    /// # Errors
    /// As [`Postgres::config`].
    #[cfg(feature = "pool")]
    pub fn pool(&self) -> Result<deadpool_postgres::Pool> {
        self.pool_of(4)
    }

    /// A pool of up to `max_size` connections on the runtime of the caller.
    /// Waiting for one of them is an error after ten seconds.
    ///
    /// # Errors
    /// As [`Postgres::config`].
    #[cfg(feature = "pool")]
    pub fn pool_of(&self, max_size: usize) -> Result<deadpool_postgres::Pool> {
        let patience = Some(std::time::Duration::from_secs(10));
        let pool = deadpool_postgres::Pool::builder(deadpool_postgres::Manager::new(
            self.config()?,
            NoTls,
        ));
        pool.max_size(max_size)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .wait_timeout(patience)
            .create_timeout(patience)
            .build()
            .map_err(|error| {
                CleanroomError::internal_error("cannot make a pool").with_source(error)
            })
    }
}
