//! Listens at the run's socket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clnrm_runtime::protocol::wire::hosts_server::HostsServer;
use clnrm_runtime::protocol::wire::leases_server::LeasesServer;
use clnrm_runtime::protocol::{MAX_MESSAGE_BYTES, accept, bind};
use clnrm_runtime::{CleanroomError, Result};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::host::HostDesk;
use super::lease::{LeaseDesk, LeaseService};
use super::reception::Reception;

/// How long what is being answered at the end may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// The coordinator's server. Dropping it closes the socket.
#[derive(Debug)]
pub struct Server {
    reception: Reception,
    stop: CancellationToken,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Server {
    /// Listens for those that `reception` expects. `leases` answers the tests.
    ///
    /// # Errors
    /// When the socket cannot be had.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(reception: Reception, leases: Arc<dyn LeaseService>) -> Result<Self> {
        let listener = bind(reception.socket())?;
        let leases = LeasesServer::new(LeaseDesk::new(reception.clone(), leases))
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let hosts = HostsServer::new(HostDesk::new(reception.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let stop = CancellationToken::new();
        let serving = tonic::transport::Server::builder()
            .add_service(leases)
            .add_service(hosts)
            .serve_with_incoming_shutdown(incoming(listener), stop.clone().cancelled_owned());
        Ok(Self {
            reception,
            stop,
            task: tokio::spawn(serving),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.reception.socket()
    }

    /// Takes no more connections, lets go of those it has, and removes the socket.
    ///
    /// # Errors
    /// When it had stopped by itself, which is a bug.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        let result = match tokio::time::timeout(FAREWELL, &mut self.task).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(failed().with_source(error)),
            Ok(Err(error)) => Err(failed().with_source(error)),
            // A stream that nobody ends, such as a followed log, is cut off.
            Err(_) => Ok(()),
        };
        // The run's directory goes next; that the file is gone already is fine.
        let _ = std::fs::remove_file(self.reception.socket());
        result
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn failed() -> CleanroomError {
    CleanroomError::internal_error("the coordinator's server failed")
}

fn incoming(
    listener: UnixListener,
) -> impl futures_util::Stream<Item = std::io::Result<tokio::net::UnixStream>> {
    futures_util::stream::unfold(listener, |listener| async {
        let connection = accept(&listener).await;
        Some((connection, listener))
    })
}
