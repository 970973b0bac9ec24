//! What a test writes: read while it runs, and for a moment after it has ended.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

/// One captured stream.
#[derive(Debug)]
pub(super) struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Capture {
    /// A pipe whose other end goes to the test.
    pub(super) fn new() -> std::io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&read, true)?;
        let mut receiver = Receiver::from_owned_fd(read)?;
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            // An error of a pipe is its end.
            while let Ok(count @ 1..) = receiver.read(&mut buffer).await {
                let read = buffer.get(..count).unwrap_or_default();
                into.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(read);
            }
        });
        Ok((Self { bytes, reader }, write))
    }

    /// Waits until nobody holds the other end.
    pub(super) async fn closed(&mut self) {
        // A reader that panicked has nothing more to say.
        let _ = (&mut self.reader).await;
    }

    /// What was read so far, invalid bytes replaced. Ends the reading.
    pub(super) fn text(self) -> String {
        self.reader.abort();
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
    }
}
