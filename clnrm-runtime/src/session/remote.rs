//! A test's session with the coordinator.
//!
//! Everything here runs on the engine's threads, so that it works from any
//! runtime and from none, and a body that blocks its own does not stall it.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio_util::task::AbortOnDropHandle;

use super::Leases;
use crate::backend::{ExecOutput, LogLine};
use crate::declare::Need;
use crate::engine::runtime;
use crate::error::{CleanroomError, Result};
use crate::protocol::wire::{self, leases_client::LeasesClient};
use crate::protocol::{
    Connection, Finished, MAX_MESSAGE_BYTES, Operation, OperationReply, SOCKET_VARIABLE, Skew,
    TOKEN_VARIABLE, Token, check, connect, from_json, hello, status_error, to_json,
};
use crate::service::{HealthStatus, ServiceHandle, ServiceId};

/// How long the coordinator may take to answer what needs no work.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// A test's session with the coordinator. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Remote {
    client: LeasesClient<Connection>,
}

impl Remote {
    /// Whether this process was started by a coordinator.
    #[must_use]
    pub fn is_asked_for() -> bool {
        std::env::var_os(SOCKET_VARIABLE).is_some()
    }

    /// Connects to the coordinator that started this process.
    ///
    /// # Errors
    /// When it is gone, or of another version.
    pub async fn connect() -> Result<Self> {
        let variable = |name: &str| {
            std::env::var(name).map_err(|error| {
                CleanroomError::protocol_error(format!("`{name}` is not set as it should be"))
                    .with_hint("run the test under `cargo clnrm test`, or without `CLNRM_SOCKET`")
                    .with_source(error)
            })
        };
        let socket = variable(SOCKET_VARIABLE)?;
        let token = Token::new(variable(TOKEN_VARIABLE)?);
        Self::connect_to(Path::new(&socket), &token).await
    }

    /// Connects to the coordinator that listens at `socket`, as the process
    /// that `token` is for.
    ///
    /// # Errors
    /// When it is not there, does not know the token, or is of another version.
    pub async fn connect_to(socket: &Path, token: &Token) -> Result<Self> {
        let (socket, token) = (socket.to_owned(), token.clone());
        on_engine(async move {
            let connection = connect(&socket, &token).await?;
            let mut client =
                LeasesClient::new(connection).max_decoding_message_size(MAX_MESSAGE_BYTES);
            let welcome = soon("hello", client.hello(hello())).await?;
            Skew::check_welcome(&welcome)?;
            check(welcome.error_json.as_deref())?;
            Ok(Self { client })
        })
        .await
    }

    /// Leases what a test needs. The coordinator knows which test this is, and
    /// how long its services may take.
    ///
    /// # Errors
    /// When a service cannot be had, with everything that is known about why.
    pub async fn acquire(&self, needs: &[Need]) -> Result<Leases> {
        let mut client = self.client.clone();
        let services = needs.iter().map(|need| need.id.to_string()).collect();
        let request = wire::AcquireRequest { services };
        let reply = on_engine(async move { answer("acquire", client.acquire(request).await) });
        let reply = reply.await?;
        check(reply.error_json.as_deref())?;
        let lease = |lease: wire::Lease| {
            let attachment = lease.attachment_json.as_deref();
            let attachment = attachment.map(|text| from_json("attachment", text));
            Ok((ServiceId::new(lease.service), attachment.transpose()?))
        };
        let leases = reply.leases.into_iter().map(lease);
        Ok(Leases::new(leases.collect::<Result<Vec<_>>>()?))
    }

    /// Says that the body begins: its own time counts from now.
    ///
    /// # Errors
    /// When the coordinator is gone.
    pub async fn begin_body(&self) -> Result<()> {
        let mut client = self.client.clone();
        let reply = on_engine(async move {
            soon("begin_body", client.begin_body(wire::BeginBodyRequest {})).await
        });
        check(reply.await?.error_json.as_deref())
    }

    /// Says how the test ended. Without it the test has failed.
    ///
    /// # Errors
    /// When the coordinator is gone.
    pub async fn finished(&self, finished: &Finished) -> Result<()> {
        let mut client = self.client.clone();
        let request = finished.to_wire();
        let reply =
            on_engine(async move { soon("finished", client.finished(request)).await }).await?;
        check(reply.error_json.as_deref())
    }

    /// Stops and starts a leased service with its data, and returns it as it
    /// is now: it may answer elsewhere.
    ///
    /// # Errors
    /// When the service is not the test's own, or does not come back.
    pub async fn restart(&self, handle: &ServiceHandle) -> Result<ServiceHandle> {
        match self.operate(handle, &Operation::Restart).await? {
            OperationReply::Handle(handle) => Ok(*handle),
            _ => Err(another_operation()),
        }
    }

    /// Stops a leased service.
    ///
    /// # Errors
    /// When the service is not the test's own, or still runs.
    pub async fn stop(&self, handle: &ServiceHandle) -> Result<()> {
        self.simply(handle, &Operation::Stop).await
    }

    /// Freezes a leased service.
    ///
    /// # Errors
    /// When the service is not the test's own, or its backend cannot.
    pub async fn pause(&self, handle: &ServiceHandle) -> Result<()> {
        self.simply(handle, &Operation::Pause).await
    }

    /// Thaws a leased service.
    ///
    /// # Errors
    /// When the service is not the test's own, or its backend cannot.
    pub async fn unpause(&self, handle: &ServiceHandle) -> Result<()> {
        self.simply(handle, &Operation::Unpause).await
    }

    /// Says how a leased service is.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn health_check(&self, handle: &ServiceHandle) -> Result<HealthStatus> {
        match self.operate(handle, &Operation::HealthCheck).await? {
            OperationReply::Health(status) => Ok(status),
            _ => Err(another_operation()),
        }
    }

    /// Runs program and arguments inside a leased service.
    ///
    /// # Errors
    /// When the command cannot be run. A command that fails is an output.
    pub async fn exec(&self, handle: &ServiceHandle, command: &[String]) -> Result<ExecOutput> {
        let operation = Operation::Exec(command.to_vec());
        match self.operate(handle, &operation).await? {
            OperationReply::Output(output) => Ok(output),
            _ => Err(another_operation()),
        }
    }

    /// The log lines of a leased service from `since` on, and those to come
    /// when `follow` is set.
    pub fn logs(
        &self,
        handle: &ServiceHandle,
        since: Option<SystemTime>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine>> {
        let mut client = self.client.clone();
        let request = to_json(handle).map(|handle_json| wire::LogsRequest {
            handle_json,
            since_micros: since.map(micros_since_epoch),
            follow,
        });
        let replies = on_engine(async move {
            let request = request?;
            answer("logs", client.logs(request).await)
        });
        stream::once(replies)
            .map_ok(|replies| {
                replies
                    .map_err(|status| status_error("logs", &status))
                    .and_then(|reply| std::future::ready(log_lines(&reply)))
                    .try_flatten()
            })
            .try_flatten()
            .boxed()
    }

    async fn simply(&self, handle: &ServiceHandle, operation: &Operation) -> Result<()> {
        match self.operate(handle, operation).await? {
            OperationReply::Done => Ok(()),
            _ => Err(another_operation()),
        }
    }

    async fn operate(
        &self,
        handle: &ServiceHandle,
        operation: &Operation,
    ) -> Result<OperationReply> {
        let mut client = self.client.clone();
        let request = operation.to_wire(handle)?;
        let reply = on_engine(async move { answer("control", client.control(request).await) });
        OperationReply::from_wire(reply.await?)
    }
}

/// Runs on the engine's threads; dropping it ends it there.
async fn on_engine<T: Send + 'static>(
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let task = AbortOnDropHandle::new(runtime::handle()?.spawn(future));
    task.await.map_err(|error| {
        CleanroomError::internal_error("a task of the engine panicked").with_source(error)
    })?
}

type Answer<T> = std::result::Result<tonic::Response<T>, tonic::Status>;

fn answer<T>(method: &str, answer: Answer<T>) -> Result<T> {
    match answer {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(status_error(method, &status)),
    }
}

async fn soon<T>(method: &str, call: impl Future<Output = Answer<T>>) -> Result<T> {
    match tokio::time::timeout(ANSWER_DEADLINE, call).await {
        Ok(reply) => answer(method, reply),
        Err(_) => Err(CleanroomError::timeout_error(format!(
            "the coordinator did not answer `{method}` in {ANSWER_DEADLINE:?}"
        ))),
    }
}

fn log_lines(reply: &wire::LogsReply) -> Result<BoxStream<'static, Result<LogLine>>> {
    let lines: Vec<LogLine> = match reply.lines_json.as_str() {
        "" => Vec::new(),
        text => from_json("log", text)?,
    };
    let end = check(reply.error_json.as_deref()).err();
    let lines = lines.into_iter().map(Ok).chain(end.map(Err));
    Ok(stream::iter(lines).boxed())
}

fn another_operation() -> CleanroomError {
    CleanroomError::protocol_error("the coordinator answered another operation")
}

fn micros_since_epoch(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
