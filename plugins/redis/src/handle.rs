//! What a test holds of a running Redis.

use std::ops::Deref;
use std::sync::Arc;

use clnrm_runtime::declare::{Attachment, Service, ServiceDeclaration};
use clnrm_runtime::plugin::Location;
use clnrm_runtime::{CleanroomError, Result, ServiceHandle};

/// A running Redis, or the numbered database of one that a test owns.
///
/// It derefs to [`ServiceHandle`]: `url()` is `redis://user:password@host:port/number`.
#[derive(Debug, Clone)]
pub struct Redis(ServiceHandle);

impl Redis {
    /// A client of it; it connects when it is asked for a connection.
    ///
    /// # Errors
    /// When the handle is not that of a Redis.
    pub fn client(&self) -> Result<redis::Client> {
        redis::Client::open(self.url()?).map_err(|error| {
            CleanroomError::validation_error(format!("`{}` has no Redis URL", self.name()))
                .with_source(error)
        })
    }
}

impl From<ServiceHandle> for Redis {
    fn from(handle: ServiceHandle) -> Self {
        Self(handle)
    }
}

impl Deref for Redis {
    type Target = ServiceHandle;

    fn deref(&self) -> &ServiceHandle {
        &self.0
    }
}

impl Service for Redis {
    const ID: &'static str = "clnrm-redis/clnrm_redis/clnrm_redis::Redis";
    const NAME: &'static str = "redis";
    const EXPORTS: &'static [&'static str] =
        &["url", "host", "port", "username", "password", "database"];

    fn attach(lease: Attachment) -> Result<Self> {
        Ok(Self(lease.handle))
    }
}

inventory::submit! {
    ServiceDeclaration {
        id: Redis::ID,
        name: Redis::NAME,
        location: Location { file: file!(), line: line!() },
        manifest_dir: env!("CARGO_MANIFEST_DIR"),
        scope: None,
        optional: false,
        needs: &[],
        env: &[],
        plugin: || Ok(Arc::new(crate::plugin())),
    }
}
