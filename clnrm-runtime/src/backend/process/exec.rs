//! Runs a command to its end and gives what it wrote.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;

use super::log::LINGER;
use crate::backend::ExecOutput;
use crate::error::{CleanroomError, Result};
use crate::keeper::{Child, Keeper, Signal, Spawn, Stdio, Target};

/// Runs a command to its end. What it leaves behind is ended with it, and so
/// is the command itself when this is cancelled.
///
/// # Errors
/// When it cannot be started.
pub(super) async fn run(keeper: &Keeper, spawn: Spawn) -> Result<ExecOutput> {
    let (mut out, stdout) = pipe()?;
    let (mut err, stderr) = pipe()?;
    let stdio = Stdio {
        stdin: None,
        stdout,
        stderr,
    };
    let child = Guard(Some(keeper.spawn(spawn, stdio).await?));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let all = async {
        // A pipe that breaks has said what it had to say.
        let _ = tokio::join!(out.read_to_end(&mut stdout), err.read_to_end(&mut stderr));
    };
    let late = async {
        // Whoever holds the pipes after the command's end is no part of it.
        let _ = child.wait().await;
        let _ = tokio::time::timeout(LINGER, std::future::pending::<()>()).await;
    };
    let read = async {
        tokio::select! {
            () = all => {}
            () = late => {}
        }
    };
    let (exit, ()) = tokio::join!(child.wait(), read);
    let code = exit?.code();
    child.end().await?;
    Ok(ExecOutput {
        code,
        stdout,
        stderr,
    })
}

/// A child that does not outlive who waits for it.
#[derive(Debug)]
struct Guard(Option<Child>);

impl Guard {
    async fn wait(&self) -> Result<crate::keeper::Exit> {
        match &self.0 {
            Some(child) => child.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Ends what the command left.
    async fn end(mut self) -> Result<()> {
        match self.0.take() {
            Some(child) => child.signal(Signal::Kill, Target::Tree).await,
            None => Ok(()),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Outside of a runtime the run has ended, and the keeper ends it.
        if let (Some(child), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { child.signal(Signal::Kill, Target::Tree).await });
        }
    }
}

fn pipe() -> Result<(Receiver, OwnedFd)> {
    let made = || -> io::Result<_> {
        let (read, write) = io::pipe()?;
        Ok((Receiver::from_owned_fd(read.into())?, write.into()))
    };
    made().map_err(|error| {
        CleanroomError::container_error("cannot make the pipes of a command").with_source(error)
    })
}
