//! The client's end: a channel over the socket, and the token on every request.

use std::io;
use std::path::Path;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::errors::InvalidMetadataValue;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use super::socket::is_our_own;
use super::token::Token;
use super::version::{RELEASE, VERSION, install_command};
use super::wire;
use crate::error::{CleanroomError, Result};

/// The most that one message may hold: the output of a command, a batch of log lines.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The metadata that every request carries.
pub const TOKEN_METADATA: &str = "clnrm-token";

/// How long the kernel may take to connect two processes of one machine.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// A channel that says who is calling.
pub type Connection = InterceptedService<Channel, Authorize>;

/// Puts the token on every request.
#[derive(Debug, Clone)]
pub struct Authorize(MetadataValue<Ascii>);

impl Interceptor for Authorize {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        request
            .metadata_mut()
            .insert(TOKEN_METADATA, self.0.clone());
        Ok(request)
    }
}

/// Connects to the coordinator. The channel's tasks live on the runtime that
/// this is called on.
///
/// # Errors
/// When nobody of this user listens there.
pub async fn connect(socket: &Path, token: &Token) -> Result<Connection> {
    let mut token: MetadataValue<Ascii> =
        token
            .as_str()
            .parse()
            .map_err(|error: InvalidMetadataValue| {
                CleanroomError::protocol_error("the token is not one of the coordinator's")
                    .with_source(error)
            })?;
    token.set_sensitive(true);
    let path = socket.to_owned();
    // gRPC wants a host; the connector does not look at it.
    let endpoint = Endpoint::from_static("http://coordinator").connect_timeout(CONNECT_DEADLINE);
    let channel = endpoint
        .connect_with_connector(tower::service_fn(move |_| dial(path.clone())))
        .await
        .map_err(|error| {
            CleanroomError::protocol_error("cannot reach the coordinator")
                .with_context("socket", socket.display())
                .with_hint("`cargo clnrm` has ended; without `CLNRM_SOCKET` a test runs its services itself")
                .with_source(error)
        })?;
    Ok(InterceptedService::new(channel, Authorize(token)))
}

/// The greeting of this process.
#[must_use]
pub fn hello() -> wire::HelloRequest {
    wire::HelloRequest {
        version: VERSION,
        release: RELEASE.to_owned(),
        install: install_command(),
        pid: std::process::id(),
    }
}

async fn dial(path: std::path::PathBuf) -> io::Result<TokioIo<UnixStream>> {
    let stream = UnixStream::connect(path).await?;
    if is_our_own(&stream)? {
        Ok(TokioIo::new(stream))
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "another user listens there",
        ))
    }
}
