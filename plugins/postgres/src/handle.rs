//! What a test holds of a running PostgreSQL.

use std::ops::Deref;
use std::sync::Arc;

use clnrm_runtime::declare::{Attachment, Service, ServiceDeclaration};
use clnrm_runtime::plugin::Location;
use clnrm_runtime::{CleanroomError, Result, ServiceHandle};
use tokio_postgres::{Client, Config, NoTls};

/// A running PostgreSQL, or the database of one that a test owns.
///
/// It derefs to [`ServiceHandle`]: `url()` is `postgres://user:password@host:port/database`.
#[derive(Debug, Clone)]
pub struct Postgres(ServiceHandle);

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

impl From<ServiceHandle> for Postgres {
    fn from(handle: ServiceHandle) -> Self {
        Self(handle)
    }
}

impl Deref for Postgres {
    type Target = ServiceHandle;

    fn deref(&self) -> &ServiceHandle {
        &self.0
    }
}

impl Service for Postgres {
    const ID: &'static str = "clnrm-postgres/clnrm_postgres/clnrm_postgres::Postgres";
    const NAME: &'static str = "postgres";
    const EXPORTS: &'static [&'static str] =
        &["url", "host", "port", "username", "password", "database"];

    fn attach(lease: Attachment) -> Result<Self> {
        Ok(Self(lease.handle))
    }
}

inventory::submit! {
    ServiceDeclaration {
        id: Postgres::ID,
        name: Postgres::NAME,
        location: Location { file: file!(), line: line!() },
        manifest_dir: env!("CARGO_MANIFEST_DIR"),
        scope: None,
        optional: false,
        needs: &[],
        env: &[],
        plugin: || Ok(Arc::new(crate::plugin())),
    }
}
