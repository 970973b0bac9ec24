//! What a host prints: kept for the error that may need it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clnrm_runtime::{CleanroomError, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

/// How many lines are kept.
const LINES: usize = 20;

/// How much of a line is kept, in bytes.
const LINE_BYTES: usize = 2000;

/// The last lines of a host's output. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Output(Arc<Mutex<VecDeque<String>>>);

/// The end of a pipe that a host writes to.
#[derive(Debug)]
pub(super) struct Writers {
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Output {
    /// A pipe, and what reads it until its last writer is gone.
    pub(super) fn pipe() -> Result<(Writers, Receiver)> {
        let make = || -> io::Result<_> {
            let (reader, writer) = io::pipe()?;
            let writers = Writers {
                stderr: writer.try_clone()?.into(),
                stdout: writer.into(),
            };
            Ok((writers, Receiver::from_owned_fd(reader.into())?))
        };
        make().map_err(|error| {
            CleanroomError::internal_error("cannot make the pipe of a host").with_source(error)
        })
    }

    /// Keeps what comes through `pipe`, to its end.
    pub(super) async fn read(self, pipe: Receiver) {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        // A pipe that cannot be read has nothing more to say, either.
        while let Ok(1..) = lines.read_until(b'\n', &mut line).await {
            self.push(&line);
            line.clear();
        }
    }

    fn push(&self, line: &[u8]) {
        let line = line.get(..LINE_BYTES).unwrap_or(line);
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The last lines, or that there are none.
    pub(super) fn tail(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.len() {
            0 => "(none)".to_owned(),
            _ => lines.iter().fold(String::new(), |mut text, line| {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(line);
                text
            }),
        }
    }
}

/// Waits until the output of a process that has ended is read. A child of it
/// may hold the other end for longer than anybody wants to wait.
pub(super) async fn finish(mut reading: JoinHandle<()>, limit: Duration) {
    if tokio::time::timeout(limit, &mut reading).await.is_err() {
        reading.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn the_last_lines_of_both_streams_are_kept() {
        let (writers, pipe) = Output::pipe().unwrap();
        let output = Output::default();
        assert_eq!(output.tail(), "(none)");
        let mut stdout = std::fs::File::from(writers.stdout);
        let mut stderr = std::fs::File::from(writers.stderr);
        for number in 0..LINES {
            writeln!(stdout, "line {number}").unwrap();
        }
        write!(stderr, "no end of line").unwrap();
        drop((stdout, stderr));
        output.clone().read(pipe).await;
        let tail = output.tail();
        assert!(tail.starts_with("line 1\n"), "{tail}");
        assert!(tail.ends_with("line 19\nno end of line"), "{tail}");
    }
}
