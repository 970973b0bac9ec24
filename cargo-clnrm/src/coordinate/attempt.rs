//! Runs one attempt of a test in a process of its own, and ends it when its time is over.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use clnrm_runtime::clock::Clock;
use clnrm_runtime::keeper::{Child, Exit, Keeper, Signal, Spawn, Stdio, Target, limit_hint};
use clnrm_runtime::{CleanroomError, Result};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::capture::Capture;
use super::freezer::Freezer;
use super::slot::Slot;
use crate::discover::TestBinary;
use crate::report::event::{Output, Part, Phases};

/// How long the pipes of a test that has ended may stay open.
const LEAK: Duration = Duration::from_millis(200);

/// What a test is run with.
#[derive(Debug, Clone)]
pub(super) struct Launch<'a> {
    pub(super) keeper: &'a Keeper,
    /// What its time stands still with.
    pub(super) freezer: &'a Freezer,
    pub(super) binary: &'a TestBinary,
    /// libtest's name.
    pub(super) name: &'a str,
    /// Arguments of the user's, after `--`.
    pub(super) args: &'a [String],
    /// Its whole environment.
    pub(super) env: BTreeMap<OsString, OsString>,
    /// Whether its output is kept from the terminal.
    pub(super) capture: bool,
    /// How long its body may take.
    pub(super) limit: Duration,
    /// After how long it is slow.
    pub(super) slow: Duration,
    /// How long it may take to end when it is asked to.
    pub(super) grace: Duration,
    /// Asks it to end: the run was interrupted.
    pub(super) interrupt: CancellationToken,
    /// Kills it.
    pub(super) kill: CancellationToken,
}

/// What was seen of it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    /// What of it took longer than it may.
    pub(super) overran: Option<Part>,
    pub(super) leaked: bool,
    pub(super) output: Output,
    pub(super) begun: Instant,
    pub(super) ended: Instant,
}

impl Launch<'_> {
    /// Runs the test to its end. `slow` is called each time a part of it has taken
    /// another `slow` long, with whether it is being ended.
    pub(super) async fn run(
        &self,
        slot: &Arc<Slot>,
        mut slow: impl FnMut(Duration, bool),
    ) -> Result<Ended> {
        let begun = Instant::now();
        let (mut streams, stdio) = self.stdio()?;
        let child = self.keeper.spawn(self.spawn(), stdio).await;
        let child = child.map_err(|error| self.binary.explain(error))?;
        let _joined = self.freezer.join(&child).await;
        let mut overran = None;
        let mut reports = 1_u32;
        let clock = self.freezer.clock();
        let limit = slot.overruns(begun, self.limit, clock);
        tokio::pin!(limit);
        let exit = loop {
            tokio::select! {
                exit = child.wait() => break exit?,
                (_, since) = slot.overruns(begun, self.slow.saturating_mul(reports), clock) => {
                    reports = reports.saturating_add(1);
                    slow(clock.since(since), false);
                }
                (part, since) = &mut limit => {
                    overran = Some(part);
                    slow(clock.since(since), true);
                    break self.end(&child, Signal::Term).await?;
                }
                () = self.interrupt.cancelled() => break self.end(&child, Signal::Int).await?,
            }
        };
        let ended = Instant::now();
        let leaked = tokio::select! {
            () = closed(&mut streams) => false,
            () = clock.passed(ended, LEAK) => true,
        };
        // What it started and did not end must not outlive it.
        child.signal(Signal::Kill, Target::Tree).await.ok();
        let mut texts = streams.into_iter().map(Capture::text);
        let output = Output {
            stdout: texts.next().unwrap_or_default(),
            stderr: texts.next().unwrap_or_default(),
        };
        Ok(Ended {
            exit,
            overran,
            leaked,
            output,
            begun,
            ended,
        })
    }

    /// Asks the test to end, waits, kills.
    async fn end(&self, child: &Child, signal: Signal) -> Result<Exit> {
        child.signal(signal, Target::Group).await?;
        tokio::select! {
            exit = child.wait() => return exit,
            () = self.kill.cancelled() => {}
            () = self.freezer.clock().passed(Instant::now(), self.grace) => {}
        }
        child.signal(Signal::Kill, Target::Tree).await?;
        child.wait().await
    }

    fn stdio(&self) -> Result<(Vec<Capture>, Stdio)> {
        let cannot = |error: std::io::Error| {
            CleanroomError::internal_error("cannot make the pipes of a test")
                .with_hint(limit_hint(&error))
                .with_source(error)
        };
        if self.capture {
            let (out, stdout) = Capture::new().map_err(cannot)?;
            let (err, stderr) = Capture::new().map_err(cannot)?;
            return Ok((
                vec![out, err],
                Stdio {
                    stdin: None,
                    stdout,
                    stderr,
                },
            ));
        }
        let stdout = std::io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(cannot)?;
        let stderr: OwnedFd = std::io::stderr()
            .as_fd()
            .try_clone_to_owned()
            .map_err(cannot)?;
        Ok((
            Vec::new(),
            Stdio {
                stdin: None,
                stdout,
                stderr,
            },
        ))
    }

    fn spawn(&self) -> Spawn {
        let one = [self.name, "--exact", "--include-ignored", "--nocapture"];
        let all = one.into_iter().chain(self.args.iter().map(String::as_str));
        let (program, args) = self.binary.command(all.map(OsString::from));
        Spawn {
            program,
            args,
            env: self.env.clone(),
            workdir: self.binary.dir.clone(),
            user: None,
            isolate: false,
        }
    }
}

async fn closed(streams: &mut [Capture]) {
    for stream in streams {
        stream.closed().await;
    }
}

/// How long the parts of an attempt took.
pub(super) fn phases(slot: &Slot, ended: &Ended, gone: Instant, clock: &Clock) -> Phases {
    let progress = slot.progress();
    // A plain test asks for nothing, and has its body from the beginning.
    let asked = progress.asked.or(progress.body).unwrap_or(ended.ended);
    let leased = progress.leased.unwrap_or(asked);
    let body = progress.body.unwrap_or(ended.ended);
    let finished = progress.finished.unwrap_or(ended.ended);
    Phases {
        wait: clock.between(asked, leased),
        setup: clock.between(ended.begun, asked) + clock.between(leased, body),
        body: clock.between(body, finished),
        teardown: clock.between(finished, gone),
    }
}
