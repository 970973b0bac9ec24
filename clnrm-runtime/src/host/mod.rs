//! The side of a host: this test binary runs plugin code for the coordinator instead of testing.
//!
//! A host dials in, says what its services are, runs the calls that come down
//! its one stream, and ends when the stream ends. It owns no resource: what
//! plugin code starts, the coordinator starts for it.

mod broker;
mod call;
mod serve;

use std::path::Path;

use crate::engine::block_on;
use crate::error::{CleanroomError, Result};
use crate::protocol::{HOST_VARIABLE, TOKEN_VARIABLE, Token};

/// Serves as a host and ends the process, when the environment asks for it.
/// The first thing that the wrapper of a test does.
#[expect(
    clippy::exit,
    clippy::print_stderr,
    reason = "the process is a host and no test; what it prints is what the coordinator shows of it"
)]
pub fn serve_if_asked() {
    let Some(socket) = std::env::var_os(HOST_VARIABLE) else {
        return;
    };
    match serve(socket.as_ref()) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{}", error.report());
            std::process::exit(1)
        }
    }
}

fn serve(socket: &Path) -> Result<()> {
    let token = std::env::var(TOKEN_VARIABLE).map_err(|error| {
        CleanroomError::protocol_error(format!("a host needs `{TOKEN_VARIABLE}`"))
            .with_hint(format!(
                "unset `{HOST_VARIABLE}`: only `cargo clnrm` sets it"
            ))
            .with_source(error)
    })?;
    let socket = socket.to_owned();
    block_on(async move { serve::serve(&socket, &Token::new(token)).await })?
}
