//! How a test of the sample and the test of the command that started it find each other.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// Where the test of the command listens.
const SOCKET: &str = "SAMPLE_SOCKET";

/// Says that the test `name` runs in this process, and waits until it is let go.
///
/// # Errors
/// When nobody listens.
pub fn hold(name: &str) -> io::Result<()> {
    let path = std::env::var_os(SOCKET).ok_or_else(|| {
        io::Error::other(format!(
            "`{SOCKET}` is not set: this is run by the tests of the command"
        ))
    })?;
    let mut stream = UnixStream::connect(path)?;
    writeln!(stream, "{name} {}", std::process::id())?;
    // The other end closes it, and says nothing.
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
