//! The log of an instance: both streams in one file, each line with its time.
//!
//! A line of the file is `<nanoseconds since 1970> <o|e> <text>`. What the
//! service writes goes through pipes that this process reads, so that a line
//! has the time at which it was written and a follower need not poll.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

use crate::backend::LogLine;
use crate::error::{CleanroomError, Result};
use crate::service::LogStream;

/// A longer line is cut into several.
const LONGEST: usize = 64 * 1024;

/// How long the pipes may stay open once the process has ended: whoever still
/// holds them was left behind by it.
pub(super) const LINGER: Duration = Duration::from_millis(200);

/// The log of one instance, over all its restarts.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    file: Arc<File>,
    progress: watch::Sender<Progress>,
    writing: Arc<Mutex<()>>,
}

/// How far it has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Progress {
    bytes: u64,
    /// Whether more may come.
    live: bool,
}

impl Log {
    /// A new log at `path`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::options()
            .read(true)
            .append(true)
            .create_new(true)
            .open(path);
        let file = file.map_err(|error| {
            CleanroomError::container_error(format!("cannot make the log `{}`", path.display()))
                .with_source(error)
        })?;
        Ok(Self {
            file: Arc::new(file),
            progress: watch::Sender::default(),
            writing: Arc::default(),
        })
    }

    /// A log that another process began: its file, and the pipes to read.
    ///
    /// # Errors
    /// When these are no pipes.
    pub(crate) fn resume(file: OwnedFd, [out, err]: [OwnedFd; 2]) -> Result<(Self, Sources)> {
        let log = Self {
            file: Arc::new(file.into()),
            progress: watch::Sender::default(),
            writing: Arc::default(),
        };
        let sources = || -> io::Result<_> {
            Ok(Sources {
                out: Receiver::from_owned_fd(out)?,
                err: Receiver::from_owned_fd(err)?,
                _live: Live::begin(&log),
            })
        };
        let sources = sources().map_err(|error| {
            CleanroomError::internal_error("cannot read the pipes of a log").with_source(error)
        })?;
        Ok((log, sources))
    }

    /// What another process needs to [`resume`](Self::resume) it, next to its pipes.
    ///
    /// # Errors
    /// When this process has too many files open.
    pub(super) fn file(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    /// Begins to take what a process writes: the ends of the pipes for it, and
    /// those that [`Self::take`] reads.
    ///
    /// # Errors
    /// When this process has too many files open.
    pub(super) fn begin(&self) -> Result<(Sources, [OwnedFd; 2])> {
        let pipes = || -> io::Result<_> {
            let (out, out_end) = io::pipe()?;
            let (err, err_end) = io::pipe()?;
            let sources = Sources {
                out: receiver(out)?,
                err: receiver(err)?,
                _live: Live::begin(self),
            };
            Ok((sources, [end(out_end), end(err_end)]))
        };
        pipes().map_err(|error| {
            CleanroomError::container_error("cannot make the pipes of a log").with_source(error)
        })
    }

    /// Takes what comes until both pipes are closed, or until a while after
    /// `ended`.
    pub(crate) async fn take(self, sources: Sources, ended: impl Future) {
        let Sources { out, err, _live } = sources;
        let both = async {
            tokio::join!(
                self.pump(out, LogStream::Stdout),
                self.pump(err, LogStream::Stderr)
            );
        };
        let late = async {
            ended.await;
            tokio::time::timeout(LINGER, std::future::pending::<()>()).await
        };
        tokio::select! {
            // A task that was not polled for long finds both: what is there to be read comes first.
            biased;
            () = both => {}
            _ = late => {}
        }
    }

    async fn pump(&self, mut pipe: Receiver, stream: LogStream) {
        let mut pending = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = match pipe.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            pending.extend_from_slice(buffer.get(..read).unwrap_or_default());
            let whole = match pending.iter().rposition(|byte| *byte == b'\n') {
                Some(last) => last + 1,
                None if pending.len() >= LONGEST => pending.len(),
                None => continue,
            };
            let rest = pending.split_off(whole);
            self.write(&pending, stream);
            pending = rest;
        }
        self.write(&pending, stream);
    }

    /// Appends lines. The file is a few pages of memory to the kernel, so that
    /// no thread of its own writes them.
    fn write(&self, lines: &[u8], stream: LogStream) {
        if lines.is_empty() {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        let tag = match stream {
            LogStream::Stdout => 'o',
            LogStream::Stderr => 'e',
        };
        let mut text = Vec::with_capacity(lines.len() + 32);
        let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
        for line in lines.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // An empty line is a line all the same.
            let first = line.get(..LONGEST).unwrap_or(line);
            let rest = line.get(LONGEST..).unwrap_or_default();
            for part in std::iter::once(first).chain(rest.chunks(LONGEST)) {
                text.extend_from_slice(format!("{now} {tag} ").as_bytes());
                text.extend_from_slice(part);
                text.push(b'\n');
            }
        }
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk loses log lines and must not stop the service.
        match append(&self.file, &text, |mut file, part| file.write(part)) {
            Ok(()) => self
                .progress
                .send_modify(|progress| progress.bytes += text.len() as u64),
            Err(error) => tracing::warn!(%error, "cannot write a log"),
        }
    }

    /// Its lines from `since` on. One that follows ends when the process has.
    pub(super) fn lines(
        &self,
        since: Option<SystemTime>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine>> {
        let reader = Reader {
            file: Arc::clone(&self.file),
            progress: self.progress.subscribe(),
            at: 0,
            pending: Vec::new(),
        };
        let chunks = stream::unfold(reader, move |mut reader| async move {
            reader.next(follow).await.map(|lines| (lines, reader))
        });
        let lines = chunks.flat_map(stream::iter);
        let wanted = move |line: &Result<LogLine>| {
            let at = line.as_ref().ok().map(|line| line.at);
            let wanted = since.is_none_or(|since| at.is_none_or(|at| at >= since));
            std::future::ready(wanted)
        };
        lines.filter(wanted).boxed()
    }

    /// Waits until what an ended process has written is there.
    pub(super) async fn settle(&self) {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|progress| !progress.live);
        // Far longer than the pipes of an ended process are read, however busy
        // the machine is: it only ends early when the process still runs.
        let _ = tokio::time::timeout(LINGER * 25, ended).await;
    }
}

/// The ends of the pipes that are read.
#[derive(Debug)]
pub(crate) struct Sources {
    out: Receiver,
    err: Receiver,
    _live: Live,
}

impl Sources {
    /// The same ends once more, for another process to read.
    ///
    /// # Errors
    /// When this process has too many files open.
    pub(super) fn ends(&self) -> io::Result<[OwnedFd; 2]> {
        let copy = |end: &Receiver| end.as_fd().try_clone_to_owned();
        Ok([copy(&self.out)?, copy(&self.err)?])
    }
}

/// Marks the log as one to which more may come, as long as it is there.
#[derive(Debug)]
struct Live(watch::Sender<Progress>);

impl Live {
    fn begin(log: &Log) -> Self {
        log.progress.send_modify(|progress| progress.live = true);
        Self(log.progress.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.send_modify(|progress| progress.live = false);
    }
}

/// Appends all of `text`, or nothing of it: readers count what was appended.
fn append(
    file: &File,
    text: &[u8],
    write: impl Fn(&File, &[u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut done: usize = 0;
    while let Some(rest) = text.get(done..).filter(|rest| !rest.is_empty()) {
        let error = match write(file, rest) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(some) => {
                done += some;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => error,
        };
        // A full disk takes a part of the last line.
        let before = file.metadata()?.len().saturating_sub(done as u64);
        file.set_len(before)?;
        return Err(error);
    }
    Ok(())
}

fn receiver(pipe: PipeReader) -> io::Result<Receiver> {
    Receiver::from_owned_fd(pipe.into())
}

fn end(pipe: PipeWriter) -> OwnedFd {
    pipe.into()
}

/// Reads the file from its beginning.
#[derive(Debug)]
struct Reader {
    file: Arc<File>,
    progress: watch::Receiver<Progress>,
    at: u64,
    pending: Vec<u8>,
}

impl Reader {
    /// The next lines, or `None` at the end.
    async fn next(&mut self, follow: bool) -> Option<Vec<Result<LogLine>>> {
        loop {
            let progress = *self.progress.borrow_and_update();
            if self.at < progress.bytes {
                return Some(self.read(progress.bytes));
            }
            if !progress.live || !follow {
                return None;
            }
            self.progress.changed().await.ok()?;
        }
    }

    /// Reads some of what is there up to `end`.
    fn read(&mut self, end: u64) -> Vec<Result<LogLine>> {
        let left = usize::try_from(end - self.at).unwrap_or(usize::MAX);
        let mut buffer = vec![0; left.min(LONGEST)];
        if let Err(error) = self.file.read_exact_at(&mut buffer, self.at) {
            // Nothing more is read from a file that cannot be read.
            self.at = u64::MAX;
            let error = CleanroomError::container_error("cannot read a log").with_source(error);
            return vec![Err(error)];
        }
        self.at += buffer.len() as u64;
        self.pending.extend_from_slice(&buffer);
        let Some(last) = self.pending.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.pending.split_off(last + 1);
        let whole = std::mem::replace(&mut self.pending, rest);
        let lines = whole.split(|byte| *byte == b'\n');
        lines.filter_map(parse).map(Ok).collect()
    }
}

fn parse(line: &[u8]) -> Option<LogLine> {
    let text = String::from_utf8_lossy(line);
    let (nanos, rest) = text.split_once(' ')?;
    let (tag, text) = rest.split_once(' ')?;
    Some(LogLine {
        at: UNIX_EPOCH + Duration::from_nanos(nanos.parse().ok()?),
        stream: if tag == "e" {
            LogStream::Stderr
        } else {
            LogStream::Stdout
        },
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests;
