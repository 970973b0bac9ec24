//! What tests ask of the coordinator.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use clnrm_runtime::backend::LogLine;
use clnrm_runtime::declare::Attachment;
use clnrm_runtime::protocol::wire::{self, leases_server};
use clnrm_runtime::protocol::{
    Finished, Operation, OperationReply, RELEASE, Skew, VERSION, error_to_json, from_json, to_json,
};
use clnrm_runtime::service::{ServiceHandle, ServiceId};
use clnrm_runtime::{CleanroomError, Result};
use futures_util::stream::{BoxStream, StreamExt};
use tonic::{Request, Response, Status};

use super::reception::{Attempt, Reception};

/// How many log lines travel in one message, if that many are there.
const LINES_AT_ONCE: usize = 1024;

/// How many bytes of them.
const TEXT_AT_ONCE: usize = 1 << 20;

/// Answers the tests: what the coordinator implements.
///
/// A call is dropped when the process that made it ends.
#[async_trait]
pub trait LeaseService: Send + Sync + fmt::Debug {
    /// The process of `attempt` has dialled in.
    async fn hello(&self, attempt: &Attempt, pid: u32);

    /// The process of `attempt` is of another version; it has been told.
    async fn skewed(&self, attempt: &Attempt, skew: Skew);

    /// Leases `services`, by the ids that the signature names, to `attempt`.
    /// An optional service that did not start is `None`.
    ///
    /// # Errors
    /// When a service cannot be had.
    async fn acquire(
        &self,
        attempt: &Attempt,
        services: &[ServiceId],
    ) -> Result<Vec<(ServiceId, Option<Attachment>)>>;

    /// The body of the test begins.
    ///
    /// # Errors
    /// When the attempt is over, for example because its time is.
    async fn begin_body(&self, attempt: &Attempt) -> Result<()>;

    /// The test is over; its process has yet to end.
    ///
    /// # Errors
    /// When the attempt is over already.
    async fn finished(&self, attempt: &Attempt, finished: Finished) -> Result<()>;

    /// Does something to a service that `attempt` leased.
    ///
    /// # Errors
    /// When it is not leased to the attempt, or not its own where that is
    /// needed, or the operation fails.
    async fn operate(
        &self,
        attempt: &Attempt,
        handle: &ServiceHandle,
        operation: Operation,
    ) -> Result<OperationReply>;

    /// The log of a service that `attempt` leased.
    ///
    /// # Errors
    /// When it is not leased to the attempt.
    async fn logs(
        &self,
        attempt: &Attempt,
        handle: &ServiceHandle,
        since: Option<SystemTime>,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>>;
}

/// Translates between the wire and a [`LeaseService`].
#[derive(Debug)]
pub(super) struct LeaseDesk {
    reception: Reception,
    service: Arc<dyn LeaseService>,
}

impl LeaseDesk {
    pub(super) fn new(reception: Reception, service: Arc<dyn LeaseService>) -> Self {
        Self { reception, service }
    }
}

/// How this process greets.
pub(super) fn welcome() -> wire::Welcome {
    wire::Welcome {
        version: VERSION,
        release: RELEASE.to_owned(),
        error_json: None,
    }
}

#[async_trait]
impl leases_server::Leases for LeaseDesk {
    type LogsStream = BoxStream<'static, Result<wire::LogsReply, Status>>;

    async fn hello(
        &self,
        request: Request<wire::HelloRequest>,
    ) -> Result<Response<wire::Welcome>, Status> {
        let attempt = self.reception.test(&request)?;
        let hello = request.into_inner();
        // A caller of another version finds that out by itself from the greeting.
        match Skew::check_hello(&hello) {
            Ok(()) => self.service.hello(&attempt, hello.pid).await,
            Err(skew) => self.service.skewed(&attempt, skew).await,
        }
        Ok(Response::new(welcome()))
    }

    async fn acquire(
        &self,
        request: Request<wire::AcquireRequest>,
    ) -> Result<Response<wire::AcquireReply>, Status> {
        let attempt = self.reception.test(&request)?;
        let services = request.into_inner().services;
        let services: Vec<_> = services.into_iter().map(ServiceId::new).collect();
        let leased = self.service.acquire(&attempt, &services).await;
        let reply = match leased.and_then(leases) {
            Ok(leases) => wire::AcquireReply {
                leases,
                error_json: None,
            },
            Err(error) => wire::AcquireReply {
                leases: Vec::new(),
                error_json: Some(error_to_json(&error)),
            },
        };
        Ok(Response::new(reply))
    }

    async fn begin_body(
        &self,
        request: Request<wire::BeginBodyRequest>,
    ) -> Result<Response<wire::BeginBodyReply>, Status> {
        let attempt = self.reception.test(&request)?;
        let error_json = error_of(self.service.begin_body(&attempt).await);
        Ok(Response::new(wire::BeginBodyReply { error_json }))
    }

    async fn finished(
        &self,
        request: Request<wire::FinishedRequest>,
    ) -> Result<Response<wire::FinishedReply>, Status> {
        let attempt = self.reception.test(&request)?;
        let result = match Finished::from_wire(request.into_inner()) {
            Ok(finished) => self.service.finished(&attempt, finished).await,
            Err(error) => Err(error),
        };
        let error_json = error_of(result);
        Ok(Response::new(wire::FinishedReply { error_json }))
    }

    async fn control(
        &self,
        request: Request<wire::ControlRequest>,
    ) -> Result<Response<wire::ControlReply>, Status> {
        let attempt = self.reception.test(&request)?;
        let reply = match Operation::from_wire(request.into_inner()) {
            Ok((handle, operation)) => self.service.operate(&attempt, &handle, operation).await,
            Err(error) => Err(error),
        };
        Ok(Response::new(OperationReply::to_wire(reply)))
    }

    async fn logs(
        &self,
        request: Request<wire::LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let attempt = self.reception.test(&request)?;
        let request = request.into_inner();
        let since = request
            .since_micros
            .map(|micros| UNIX_EPOCH + Duration::from_micros(micros));
        let lines = match from_json::<ServiceHandle>("handle", &request.handle_json) {
            Ok(handle) => {
                let logs = self.service.logs(&attempt, &handle, since, request.follow);
                logs.await
            }
            Err(error) => Err(error),
        };
        let replies = match lines {
            Ok(lines) => lines
                .ready_chunks(LINES_AT_ONCE)
                .flat_map(|lines| futures_util::stream::iter(batches(lines)))
                .map(Ok)
                .boxed(),
            Err(error) => futures_util::stream::iter([Ok(end_of_log(&error))]).boxed(),
        };
        Ok(Response::new(replies))
    }
}

fn leases(leased: Vec<(ServiceId, Option<Attachment>)>) -> Result<Vec<wire::Lease>> {
    let lease = |(service, attachment): (ServiceId, Option<Attachment>)| {
        Ok(wire::Lease {
            service: service.to_string(),
            attachment_json: attachment.as_ref().map(to_json).transpose()?,
        })
    };
    leased.into_iter().map(lease).collect()
}

fn error_of(result: Result<()>) -> Option<String> {
    result.err().map(|error| error_to_json(&error))
}

/// The lines as messages, none much longer than [`TEXT_AT_ONCE`], and the first error.
fn batches(lines: Vec<Result<LogLine>>) -> Vec<wire::LogsReply> {
    let mut replies = Vec::new();
    let mut batch = Vec::new();
    let mut bytes = 0;
    for line in lines {
        match line {
            Ok(line) => {
                bytes += line.text.len();
                batch.push(line);
                if bytes >= TEXT_AT_ONCE {
                    replies.push(log(&std::mem::take(&mut batch)));
                    bytes = 0;
                }
            }
            Err(error) => {
                replies.push(log(&batch));
                replies.push(end_of_log(&error));
                return replies;
            }
        }
    }
    replies.push(log(&batch));
    replies
}

fn log(lines: &[LogLine]) -> wire::LogsReply {
    match to_json(&lines) {
        Ok(lines_json) => wire::LogsReply {
            lines_json,
            error_json: None,
        },
        Err(error) => end_of_log(&error),
    }
}

fn end_of_log(error: &CleanroomError) -> wire::LogsReply {
    wire::LogsReply {
        lines_json: String::new(),
        error_json: Some(error_to_json(error)),
    }
}
