//! A host that has said hello.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use clnrm_runtime::clock::Deadline;
use clnrm_runtime::protocol::wire::{self, coordinator_message, host_message};
use clnrm_runtime::protocol::{Call, HookReply, HookRequest};
use clnrm_runtime::service::ServiceId;
use clnrm_runtime::{CleanroomError, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::call::{Answered, Calls};
use super::output::{self, Output};
use super::pool::Context;
use super::question::{self, BackQuestions};
use super::spawn::HostProcess;
use crate::serve::reception::{Streams, Ticket};

/// How long what a host sent or printed before it ended may take to be read.
pub(super) const DRAIN: Duration = Duration::from_millis(200);

/// A host that has said hello, and its calls.
#[derive(Debug)]
pub(super) struct LiveHost {
    pub(super) context: Context,
    binary: String,
    process: Arc<dyn HostProcess>,
    output: Output,
    /// Gone once the host is told to end.
    outbound: Mutex<Option<mpsc::UnboundedSender<Result<wire::CoordinatorMessage, Status>>>>,
    pub(super) calls: Calls,
    pub(super) back: BackQuestions,
    /// Why it was killed, when it was.
    killed: OnceLock<String>,
    /// How it ended.
    end: OnceLock<String>,
    /// Cancelled when it is lost or dismissed: its calls have ended then.
    pub(super) gone: CancellationToken,
    _ticket: Ticket,
}

/// A call that its host did not live to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It was never sent: the host was gone before.
    Unasked,
    /// Nobody knows how far it got.
    Unanswered,
}

impl LiveHost {
    /// Takes over the streams of a host. A task reads them until they end.
    pub(super) fn new(
        context: Context,
        binary: String,
        process: Arc<dyn HostProcess>,
        output: Output,
        reading: JoinHandle<()>,
        streams: Streams,
        ticket: Ticket,
    ) -> Arc<Self> {
        let host = Arc::new(Self {
            context,
            binary,
            process,
            output,
            outbound: Mutex::new(Some(streams.outbound)),
            calls: Calls::default(),
            back: BackQuestions::default(),
            killed: OnceLock::new(),
            end: OnceLock::new(),
            gone: CancellationToken::new(),
            _ticket: ticket,
        });
        let task = Arc::clone(&host).read(streams.inbound, reading);
        host.context.spawn(task);
        host
    }

    /// Calls plugin code, until `deadline`. Dropping this cancels the call.
    pub(super) async fn call(
        self: &Arc<Self>,
        service: Option<&ServiceId>,
        request: &HookRequest,
        deadline: Deadline,
    ) -> Result<Result<HookReply>, Lost> {
        let method = request.method();
        let (id, answer) = self
            .calls
            .begin(service, method, deadline.clone())
            .ok_or(Lost::Unasked)?;
        let mut pending = Pending {
            host: self,
            id,
            answer,
        };
        let left = deadline.left();
        let call = Call {
            id,
            left,
            service: service.cloned(),
            request: request.clone(),
        };
        match call.to_wire() {
            Ok(call) => self.send(coordinator_message::Message::Call(call)),
            Err(error) => return Ok(Err(error)),
        }
        match deadline.bound(&mut pending.answer).await {
            Ok(Ok(answered)) => {
                if answered.result.is_err() {
                    self.context.free(answered.created);
                }
                Ok(answered.result)
            }
            Ok(Err(_)) => Err(Lost::Unanswered),
            Err(_) => Ok(Err(self.late(service, method, left))),
        }
    }

    fn late(&self, service: Option<&ServiceId>, method: &str, limit: Duration) -> CleanroomError {
        let limit = Duration::from_millis(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        let error = CleanroomError::timeout_error(format!(
            "`{method}` did not return in the {limit:?} that it had"
        ));
        let error = match service {
            Some(service) => error.with_context("plugin of", service),
            None => error,
        };
        error
            .with_context("host of", &self.binary)
            .with_context("its output", self.output.tail())
    }

    pub(super) fn send(&self, message: coordinator_message::Message) {
        let outbound = self.outbound.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outbound) = &*outbound {
            // A stream that has ended is noticed where it is read.
            let _ = outbound.send(Ok(wire::CoordinatorMessage {
                message: Some(message),
            }));
        }
    }

    /// What became of it, for the error of a call.
    pub(super) fn lost(&self) -> CleanroomError {
        let end = self.end.get().map_or("is gone", String::as_str);
        CleanroomError::service_error(format!("the host of `{}` {end}", self.binary))
            .with_context("its output", self.output.tail())
            .with_hint("plugin code of that test binary ran in it; its own output says more")
    }

    /// Reads what the host sends until it ends, then ends its calls.
    async fn read(
        self: Arc<Self>,
        mut inbound: tonic::Streaming<wire::HostMessage>,
        output: JoinHandle<()>,
    ) {
        let ended = tokio::select! {
            biased;
            () = self.take_all(&mut inbound) => None,
            // A child of the host may hold the stream open: the process counts.
            ended = self.process.wait() => Some(ended),
        };
        let ended = match ended {
            Some(ended) => {
                let _ = tokio::time::timeout(DRAIN, self.take_all(&mut inbound)).await;
                ended
            }
            None => self.wait_for_end().await,
        };
        output::finish(output, DRAIN).await;
        let end = match self.killed.get() {
            Some(reason) => format!("was killed: {reason}"),
            None => format!("ended {ended}"),
        };
        let _ = self.end.set(end);
        let created = self.calls.close();
        self.gone.cancel();
        self.context.free(created);
    }

    /// The stream has ended; the process does so, or is killed.
    async fn wait_for_end(&self) -> String {
        let grace = self.context.limits().grace;
        if let Ok(ended) = tokio::time::timeout(grace, self.process.wait()).await {
            return ended;
        }
        self.kill(format!(
            "it ran on for {grace:?} after its stream had ended"
        ))
        .await;
        tokio::time::timeout(grace, self.process.wait())
            .await
            .unwrap_or_else(|_| "and cannot be killed".to_owned())
    }

    async fn take_all(self: &Arc<Self>, inbound: &mut tonic::Streaming<wire::HostMessage>) {
        // A broken stream has ended as much as a closed one.
        while let Ok(Some(message)) = inbound.message().await {
            match message.message {
                Some(host_message::Message::Result(result)) => self.take_result(result),
                Some(host_message::Message::Ambient(request)) => question::begin(self, request),
                Some(host_message::Message::HookResult(result)) => self.back.answer(&result),
                Some(host_message::Message::Hello(_)) | None => {}
            }
        }
    }

    fn take_result(self: &Arc<Self>, result: wire::CallResult) {
        let unwanted = self.calls.end(result.id, HookReply::from_wire(result));
        if let Some(unwanted) = unwanted {
            self.discard(unwanted);
        }
    }

    /// Undoes what a call made that nobody waits for. What a `start` returned
    /// its plugin knows how to stop; the engine removes the rest.
    fn discard(self: &Arc<Self>, unwanted: Answered) {
        let (Ok(HookReply::Handle(handle)), Some(service)) = (unwanted.result, unwanted.service)
        else {
            return self.context.free(unwanted.created);
        };
        let host = Arc::clone(self);
        self.context.spawn(async move {
            let deadline = host.context.deadline();
            let stop = HookRequest::Stop(*handle);
            let stopped = host.call(Some(&service), &stop, deadline).await;
            if !matches!(stopped, Ok(Ok(_))) {
                tracing::warn!(%service, "a service that nobody waited for could not be stopped");
            }
            host.context.free(unwanted.created);
        });
    }

    /// Kills it. Its calls end as those of any lost host.
    async fn kill(&self, reason: String) {
        let _ = self.killed.set(reason);
        if let Err(error) = self.process.kill().await {
            tracing::warn!(binary = self.binary, %error, "a host could not be killed");
        }
    }

    /// Tells it to end, and waits until it has.
    pub(super) async fn dismiss(&self) {
        self.outbound
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let grace = self.context.limits().grace;
        if tokio::time::timeout(grace, self.gone.cancelled())
            .await
            .is_err()
        {
            self.kill(format!("it did not end {grace:?} after it was told to"))
                .await;
            // One that cannot be killed either is left to the keeper.
            let _ = tokio::time::timeout(grace, self.gone.cancelled()).await;
        }
    }

    /// Nobody waits for the call any more.
    fn give_up(self: &Arc<Self>, id: u64) {
        let Some(given_up) = self.calls.give_up(id) else {
            return;
        };
        self.send(coordinator_message::Message::Cancel(wire::Cancel { id }));
        self.context.free(given_up.created);
        let host = Arc::clone(self);
        self.context.spawn(async move {
            let grace = host.context.limits().grace;
            let answered = tokio::time::timeout(grace, given_up.ended.cancelled());
            if answered.await.is_err() {
                let method = given_up.method;
                host.kill(format!(
                    "`{method}` did not return in the {grace:?} after it was given up"
                ))
                .await;
            }
        });
    }
}

/// A call whose answer is waited for. Dropped early, it is given up.
struct Pending<'a> {
    host: &'a Arc<LiveHost>,
    id: u64,
    answer: oneshot::Receiver<Answered>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // Closed first: an answer is then either here or refused, never in between.
        self.answer.close();
        match self.answer.try_recv() {
            Ok(answered) => self.host.discard(answered),
            Err(_) => self.host.give_up(self.id),
        }
    }
}
