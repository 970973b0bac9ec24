//! What a test holds of a running Redis.

use clnrm_runtime::service::Login;
use clnrm_runtime::{CleanroomError, Result};

clnrm_runtime::handle! {
    /// A running Redis, or the numbered database of one that a test owns.
    ///
    /// It derefs to [`ServiceHandle`](clnrm_runtime::ServiceHandle): `url()` is
    /// `redis://user:password@host:port/number`.
    pub struct Redis: "redis", exports Login::EXPORTS, plugin crate::plugin();
}

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
