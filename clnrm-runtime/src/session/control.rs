//! What a test does to a service that it holds: through the session that leased it.

use std::future::Future;
use std::time::SystemTime;

use futures_util::TryStreamExt;

use super::local::Local;
use super::remote::Remote;
use crate::backend::{ExecOutput, LogLine};
use crate::error::Result;
use crate::service::{HealthStatus, ServiceHandle};

/// The session of this process.
enum Session {
    Local(std::sync::Arc<Local>),
    Remote(Remote),
}

async fn session() -> Result<Session> {
    if Remote::is_asked_for() {
        Remote::connect().await.map(Session::Remote)
    } else {
        Local::current().await.map(Session::Local)
    }
}

/// Runs on the engine's threads, so that it works from any runtime.
async fn on_engine<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let task = crate::engine::handle()?.spawn(work);
    task.await.map_err(|error| {
        crate::CleanroomError::internal_error("a task of the engine panicked").with_source(error)
    })?
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident -> $output:ty, $engine:ident;)*) => {$(
        $(#[$doc])*
        pub async fn $name(&self) -> Result<$output> {
            let handle = self.clone();
            on_engine(async move {
                match session().await? {
                    Session::Local(local) => local.engine().$engine(&handle).await,
                    Session::Remote(remote) => remote.$name(&handle).await,
                }
            })
            .await
        }
    )*};
}

/// These go through the test's session, from any runtime. In a blocking test
/// use [`block_on`](crate::engine::block_on) on a clone of the handle.
impl ServiceHandle {
    /// Stops and starts the service with its data, where it answered before.
    ///
    /// # Errors
    /// When the run shares the instance (write `fresh`), or it does not
    /// come back.
    pub async fn restart(&self) -> Result<()> {
        let handle = self.clone();
        on_engine(async move {
            match session().await? {
                Session::Local(local) => local.engine().restart(&handle).await,
                Session::Remote(remote) => remote.restart(&handle).await.map(|_| ()),
            }
        })
        .await
    }

    operations! {
        /// Stops the service; it is removed when the test ends.
        ///
        /// # Errors
        /// When the run shares the instance (write `fresh`).
        stop -> (), halt;
        /// Freezes the service.
        ///
        /// # Errors
        /// When the run shares the instance (write `fresh`), or the
        /// backend cannot.
        pause -> (), pause;
        /// Thaws the service.
        ///
        /// # Errors
        /// As [`pause`](Self::pause).
        unpause -> (), unpause;
        /// Says how the service is.
        ///
        /// # Errors
        /// When it cannot be told.
        health_check -> HealthStatus, health;
    }

    /// The lines that the service has written, from `since` on.
    ///
    /// # Errors
    /// When the backend does not answer.
    pub async fn logs(&self, since: Option<SystemTime>) -> Result<Vec<LogLine>> {
        let handle = self.clone();
        on_engine(async move {
            match session().await? {
                Session::Local(local) => local.engine().logs(&handle, since).await,
                Session::Remote(remote) => remote.logs(&handle, since, false).try_collect().await,
            }
        })
        .await
    }

    /// Runs program and arguments inside the service.
    ///
    /// # Errors
    /// When the command cannot be run. A command that fails is an output.
    pub async fn exec<S: Into<String>>(
        &self,
        command: impl IntoIterator<Item = S>,
    ) -> Result<ExecOutput> {
        let handle = self.clone();
        let command = command.into_iter().map(Into::into).collect::<Vec<String>>();
        on_engine(async move {
            match session().await? {
                Session::Local(local) => local.engine().exec(&handle, &command).await,
                Session::Remote(remote) => remote.exec(&handle, &command).await,
            }
        })
        .await
    }
}
