//! How a test of this project and the test of the command that started it hear of each other.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// Where the test of the command listens.
const SOCKET: &str = "SAMPLE_SOCKET";

/// A test of this project that is held by a test of the command.
#[derive(Debug)]
pub struct Held(UnixStream);

impl Held {
    /// Says that the test `name` runs in this process.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn new(name: &str) -> io::Result<Self> {
        let path = std::env::var_os(SOCKET).ok_or_else(|| {
            io::Error::other(format!(
                "`{SOCKET}` is not set: the tests of the command set it"
            ))
        })?;
        let mut held = Self(UnixStream::connect(path)?);
        held.say(&format!("{name} {}", std::process::id()))?;
        Ok(held)
    }

    /// Says a line.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.0, "{line}")
    }

    /// Waits until it is let go; answers every byte that it is sent until then with a line.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn wait(mut self) -> io::Result<()> {
        let mut byte = [0];
        while self.0.read(&mut byte)? > 0 {
            self.say("here")?;
        }
        Ok(())
    }
}

/// Says that the test `name` runs, and waits until it is let go.
///
/// # Errors
/// As [`Held::new`] and [`Held::wait`].
pub fn hold(name: &str) -> io::Result<()> {
    Held::new(name)?.wait()
}
