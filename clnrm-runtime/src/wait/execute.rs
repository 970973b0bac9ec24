//! Executes a wait: each strategy a future, `all` and `any` made of them.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select_ok, try_join_all};
use tokio::time::timeout;

use super::backoff::Backoff;
use super::http::Expectation;
use super::log::Pattern;
use super::notes::{NoteId, Notes};
use super::{PluginReady, Target, has_ended, http, log, tcp};
use crate::backend::{BackendKind, State};
use crate::error::{CleanroomError, Result};
use crate::protocol::Skew;
use crate::service::{Endpoint, Port, PortProtocol, Wait};

/// How long a probe may take at first. One that takes longer is made again with
/// twice as much, so that neither a half-open connection nor a slow first answer
/// keeps a service from becoming ready.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a probe may take at most.
const MOST_PATIENCE: Duration = Duration::from_secs(10);

/// One wait for one instance.
pub(super) struct Execution<'a, 'p> {
    target: &'a Target<'a>,
    plugin_ready: PluginReady<'p>,
    notes: Notes,
}

impl<'a, 'p> Execution<'a, 'p> {
    pub(super) fn new(target: &'a Target<'a>, plugin_ready: PluginReady<'p>) -> Self {
        Self {
            target,
            plugin_ready,
            notes: Notes::default(),
        }
    }

    pub(super) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Resolves when `wait` is met.
    ///
    /// # Errors
    /// When it can never be met.
    pub(super) fn run<'b>(&'b self, wait: &'b Wait) -> BoxFuture<'b, Result<()>> {
        match wait {
            Wait::Running => async { Ok(()) }.boxed(),
            Wait::Log {
                pattern,
                stream,
                count,
            } => async move { self.log(&Pattern::new(pattern, *stream, *count)?).await }.boxed(),
            Wait::Http {
                port,
                path,
                status,
                body,
            } => async move {
                let expected = Expectation::new(path, *status, body.as_deref())?;
                self.http(port.as_deref(), &expected).await
            }
            .boxed(),
            Wait::Tcp { port } => self.tcp(port.as_deref()).boxed(),
            Wait::Exec { command } => self.exec(command).boxed(),
            Wait::Healthcheck => self.healthcheck().boxed(),
            Wait::Plugin => self.plugin().boxed(),
            Wait::All(parts) => async move {
                try_join_all(parts.iter().map(|part| self.run(part))).await?;
                Ok(())
            }
            .boxed(),
            Wait::Any(parts) => self.any(parts).boxed(),
        }
    }

    /// The first that is met wins, and the others are dropped where they stand.
    /// One that can never be met only loses.
    async fn any(&self, parts: &[Wait]) -> Result<()> {
        if parts.is_empty() {
            return Err(
                CleanroomError::validation_error("it waits for any of nothing")
                    .with_hint("name at least one thing to wait for"),
            );
        }
        select_ok(parts.iter().map(|part| self.run(part))).await?;
        Ok(())
    }

    async fn log(&self, pattern: &Pattern) -> Result<()> {
        let note = self.notes.open(
            pattern.to_string(),
            "compare the pattern with the lines above; the service may log elsewhere",
        );
        let mut backoff = Backoff::new();
        loop {
            self.notes.asked();
            let lines = self
                .target
                .backend
                .logs(self.target.id, self.target.since, true);
            let answered = |answer| self.notes.answered(note, answer);
            if log::read(lines, pattern, answered).await {
                self.notes.met(note);
                return Ok(());
            }
            // The stream has ended or broken: a new one gives all lines again.
            backoff.pause().await;
        }
    }

    async fn http(&self, port: Option<&str>, expected: &Expectation) -> Result<()> {
        let (name, _) = self.port(port)?;
        let what = format!("{expected} on port `{name}`");
        let hint = "check the path, the port, and that the service listens on it, in a container on 0.0.0.0";
        let note = self.notes.open(what, hint);
        let probe = || {
            async {
                let endpoint = self.endpoint(name)?;
                http::probe(endpoint, expected).await
            }
            .boxed()
        };
        self.poll(note, probe).await;
        Ok(())
    }

    async fn tcp(&self, port: Option<&str>) -> Result<()> {
        let (name, port) = self.port(port)?;
        if port.protocol != PortProtocol::Tcp {
            return Err(CleanroomError::validation_error(format!(
                "port `{name}` is not a TCP port, so nothing can connect to it"
            ))
            .with_hint("wait for a log line, or for the plugin"));
        }
        let what = format!("a connection to port `{name}`");
        let hint = "check the port, and that the service listens on it, in a container on 0.0.0.0";
        let note = self.notes.open(what, hint);
        self.poll(note, || self.connect(name, port).boxed()).await;
        Ok(())
    }

    /// A container's published port is answered by the engine's proxy, whether
    /// or not anything listens behind it.
    async fn connect(&self, name: &str, port: Port) -> Result<(), String> {
        let endpoint = self.endpoint(name)?;
        if self.target.backend.kind() != BackendKind::Docker {
            return tcp::probe(endpoint, tcp::Behind::Nothing).await;
        }
        let inspection = self.target.backend.inspect(self.target.id).await;
        let pid = inspection.map_err(|error| error.report())?.pid;
        let behind = tcp::Behind::Proxy {
            pid,
            port: port.number,
        };
        tcp::probe(endpoint, behind).await
    }

    async fn exec(&self, command: &[String]) -> Result<()> {
        let what = format!("`{}` to exit with 0", command.join(" "));
        let hint = "run the command by hand inside the instance";
        let note = self.notes.open(what, hint);
        let probe = || {
            async {
                let output = self.target.backend.exec(self.target.id, command).await;
                let output = output.map_err(|error| error.report())?;
                if output.success() {
                    return Ok(());
                }
                let mut answer = format!("exit code {}", output.code);
                for text in [&output.stdout, &output.stderr] {
                    let text = String::from_utf8_lossy(text);
                    if !text.trim().is_empty() {
                        answer.push_str(": ");
                        answer.push_str(text.trim());
                    }
                }
                Err(answer)
            }
            .boxed()
        };
        self.poll(note, probe).await;
        Ok(())
    }

    async fn healthcheck(&self) -> Result<()> {
        let note = self.notes.open(
            self.health_check(),
            "run the health check's command by hand inside the instance",
        );
        let mut backoff = Backoff::new();
        loop {
            backoff.pause().await;
            self.notes.asked();
            match self.target.backend.inspect(self.target.id).await {
                Ok(inspection) if inspection.healthy == Some(true) => {
                    self.notes.met(note);
                    return Ok(());
                }
                Ok(inspection) if inspection.state == State::Running => match inspection.healthy {
                    Some(_) => {
                        let check = inspection.check;
                        let answer = check.unwrap_or_else(|| "not healthy".to_owned());
                        self.notes.answered(note, answer);
                    }
                    None => return Err(no_healthcheck()),
                },
                Ok(_) => self.notes.answered(note, "it does not run".to_owned()),
                Err(error) => self.notes.answered(note, error.report()),
            }
        }
    }

    /// The declaration's own check where it has one, else the image's.
    fn health_check(&self) -> String {
        let container = self.target.spec.container.as_ref();
        match container.and_then(|container| container.healthcheck.as_ref()) {
            Some(check) => format!("the health check `{}`", check.command.join(" ")),
            None => "the image's health check".to_owned(),
        }
    }

    async fn plugin(&self) -> Result<()> {
        let note = self.notes.open(
            "the plugin's `ready` exchange".to_owned(),
            "check the credentials and the configuration of the service",
        );
        let mut backoff = Backoff::new();
        loop {
            backoff.pause().await;
            self.notes.asked();
            // No patience of ours: the exchange may run in another process, and
            // giving up on it does not end it there.
            match (self.plugin_ready)().await {
                Ok(()) => {
                    self.notes.met(note);
                    return Ok(());
                }
                // Its code runs in a binary that we shall never understand.
                Err(error) if Skew::of(&error).is_some() => return Err(error),
                Err(error) => self.notes.answered(note, error.report()),
            }
        }
    }

    /// Resolves when the instance is seen running.
    pub(super) async fn until_it_runs(&self) -> Result<()> {
        let note = self
            .notes
            .open("the instance to run".to_owned(), "look at its log");
        let probe = || {
            async {
                let inspection = self.target.backend.inspect(self.target.id).await;
                match inspection.map_err(|error| error.report())?.state {
                    State::Running => Ok(()),
                    state => Err(format!("it is {state:?}").to_lowercase()),
                }
            }
            .boxed()
        };
        self.poll(note, probe).await;
        Ok(())
    }

    /// Resolves when the instance is seen ended. A backend that does not answer
    /// says nothing about the instance.
    pub(super) async fn until_it_ends(&self) -> State {
        let mut backoff = Backoff::new();
        loop {
            backoff.pause().await;
            match self.target.backend.inspect(self.target.id).await {
                Ok(inspection) if has_ended(&inspection.state) => return inspection.state,
                Ok(_) | Err(_) => {}
            }
        }
    }

    async fn poll<'b>(
        &self,
        note: NoteId,
        probe: impl Fn() -> BoxFuture<'b, Result<(), String>> + Sync,
    ) {
        let mut backoff = Backoff::new();
        let mut patience = PATIENCE;
        loop {
            backoff.pause().await;
            self.notes.asked();
            match timeout(patience, probe()).await {
                Ok(Ok(())) => return self.notes.met(note),
                Ok(Err(answer)) => self.notes.answered(note, answer),
                Err(_) => {
                    let answer = format!("no answer within {patience:?}");
                    self.notes.answered(note, answer);
                    patience = (patience * 2).min(MOST_PATIENCE);
                }
            }
        }
    }

    fn port<'b>(&'b self, name: Option<&'b str>) -> Result<(&'b str, Port)> {
        let ports = &self.target.spec.ports;
        let found = match name {
            Some(name) => ports
                .get_key_value(name)
                .map(|(name, port)| (&**name, *port)),
            None => self.target.spec.main_port(),
        };
        found.ok_or_else(|| {
            let message = match name {
                Some(name) => format!("it waits for port `{name}`, which it does not have"),
                None => "it waits for a port, and has none".to_owned(),
            };
            let known: Vec<&str> = ports.keys().map(String::as_str).collect();
            CleanroomError::validation_error(message).with_hint(if known.is_empty() {
                "declare one: `port = 8080`".to_owned()
            } else {
                format!("its ports are `{}`", known.join("`, `"))
            })
        })
    }

    /// What has ended by now has no ports any more; that is for the watch to say.
    fn endpoint(&self, name: &str) -> Result<&Endpoint, String> {
        let endpoint = self.target.endpoints.get(name);
        endpoint.ok_or_else(|| format!("port `{name}` is not reachable from here"))
    }
}

fn no_healthcheck() -> CleanroomError {
    CleanroomError::validation_error("it waits for a health check, and the image has none")
        .with_hint("declare one in the spec, or wait for something else")
}
