//! A backend whose one instance follows a script on tokio's clock.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::time::{Instant, sleep_until};

use crate::backend::{
    Backend, BackendKind, Capabilities, CreateRequest, ExecOutput, Inspection, LogLine, Started,
    State,
};
use crate::error::{CleanroomError, Result};
use crate::service::{InstanceId, LogStream, RunId, Stop};

/// What holds from a moment on.
type Script<T> = Vec<(Duration, T)>;

#[derive(Debug)]
pub(super) struct Fake {
    begin: Instant,
    pub(super) states: Script<State>,
    pub(super) health: Script<Option<bool>>,
    pub(super) check: Option<&'static str>,
    pub(super) log: Script<(LogStream, &'static str)>,
    pub(super) exits: Script<Result<i32, &'static str>>,
    pub(super) inspect_fails: bool,
}

impl Fake {
    /// It runs, has no health check, logs nothing, and every command exits with 0.
    pub(super) fn new() -> Self {
        Self {
            begin: Instant::now(),
            states: vec![(Duration::ZERO, State::Running)],
            health: vec![(Duration::ZERO, None)],
            check: None,
            log: Vec::new(),
            exits: vec![(Duration::ZERO, Ok(0))],
            inspect_fails: false,
        }
    }

    pub(super) fn says(mut self, millis: u64, stream: LogStream, text: &'static str) -> Self {
        self.log
            .push((Duration::from_millis(millis), (stream, text)));
        self
    }

    pub(super) fn exits(mut self, millis: u64, code: i32) -> Self {
        self.states
            .push((Duration::from_millis(millis), State::Exited { code }));
        self
    }

    fn now<T: Clone>(&self, script: &Script<T>) -> T {
        let elapsed = self.begin.elapsed();
        let past = script.iter().rev().find(|(at, _)| *at <= elapsed);
        past.map(|(_, value)| value.clone()).unwrap()
    }
}

#[async_trait]
impl Backend for Fake {
    fn kind(&self) -> BackendKind {
        BackendKind::Fake
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn create(&self, _request: &CreateRequest) -> Result<InstanceId> {
        unreachable!("a wait creates nothing")
    }

    async fn start(&self, _id: &InstanceId) -> Result<Started> {
        unreachable!("a wait starts nothing")
    }

    async fn stop(&self, _id: &InstanceId, _stop: Stop) -> Result<()> {
        unreachable!("a wait stops nothing")
    }

    async fn remove(&self, _id: &InstanceId) -> Result<()> {
        unreachable!("a wait removes nothing")
    }

    async fn inspect(&self, _id: &InstanceId) -> Result<Inspection> {
        if self.inspect_fails {
            return Err(CleanroomError::container_error("the engine is gone"));
        }
        Ok(Inspection {
            state: self.now(&self.states),
            pid: None,
            healthy: self.now(&self.health),
            check: self.check.map(str::to_owned),
            endpoints: Default::default(),
        })
    }

    async fn exec(&self, _id: &InstanceId, _command: &[String]) -> Result<ExecOutput> {
        let code = self.now(&self.exits);
        let code = code.map_err(CleanroomError::container_error)?;
        Ok(ExecOutput {
            code,
            stdout: Vec::new(),
            stderr: b"password hunter2 refused\n".to_vec(),
        })
    }

    fn logs(
        &self,
        _id: &InstanceId,
        _since: Option<SystemTime>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine>> {
        let (begin, log) = (self.begin, self.log.clone());
        let end = self
            .states
            .iter()
            .find(|(_, state)| *state != State::Running);
        let end = end.map(|(at, _)| *at);
        let lines = stream::iter(log).filter_map(move |(at, (stream, text))| async move {
            if begin + at > Instant::now() {
                if !follow {
                    return None;
                }
                sleep_until(begin + at).await;
            }
            Some(Ok(LogLine {
                at: SystemTime::now(),
                stream,
                text: text.to_owned(),
            }))
        });
        let tail = stream::once(async move {
            match end {
                _ if !follow => {}
                Some(end) => sleep_until(begin + end).await,
                None => std::future::pending().await,
            }
        });
        lines.chain(tail.filter_map(|()| async { None })).boxed()
    }

    async fn copy_in(&self, _: &InstanceId, _: &str, _: Bytes, _: u32) -> Result<()> {
        unreachable!("a wait copies nothing")
    }

    async fn copy_out(&self, _: &InstanceId, _: &str) -> Result<Bytes> {
        unreachable!("a wait copies nothing")
    }

    async fn sweep(&self, _run: &RunId) -> Result<Vec<String>> {
        unreachable!("a wait sweeps nothing")
    }

    async fn list(&self, _run: &RunId) -> Result<Vec<String>> {
        unreachable!("a wait lists nothing")
    }
}
