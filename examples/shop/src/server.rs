//! What both binaries share: logs on stderr, serving until a signal, and the exit code.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    process::ExitCode,
};

use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{StartError, error::chain};

/// Runs a program: logs to stderr, and a failure is its last line and exit code 1.
pub async fn run(
    program: impl Future<Output = Result<(), Box<dyn std::error::Error>>>,
) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    match program.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or SIGINT, then answers what it has begun and returns.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(address: SocketAddr, router: Router) -> Result<(), StartError> {
    let failed = |source| StartError::Listen { address, source };
    // The signals are caught before anybody can connect, so that none ends the process halfway.
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    tracing::info!(
        "listening on http://{}",
        listener.local_addr().map_err(failed)?
    );
    let stop = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping");
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
        .map_err(failed)
}
