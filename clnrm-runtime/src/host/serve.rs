//! The stream of a host: calls come down, results go up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::broker::{Event, Questions};
use super::call;
use crate::engine::broker::broker_everything;
use crate::error::{CleanroomError, Result};
use crate::protocol::wire::hosts_client::HostsClient;
use crate::protocol::wire::{self, coordinator_message, host_message};
use crate::protocol::{
    AmbientAnswer, Call, HookReply, MAX_MESSAGE_BYTES, Skew, Token, check, connect, hello,
    status_error,
};
use crate::registry::PluginSet;

/// How many calls run at once; more wait for their turn.
const THREADS: usize = 32;

/// How long the coordinator may take to greet.
const WELCOME_DEADLINE: Duration = Duration::from_secs(30);

/// What the calls of a host share.
#[derive(Debug)]
pub(super) struct Host {
    /// Calls and their questions are few, and every one is waited for, so
    /// nothing piles up in a channel without bounds. Plugin code may send from
    /// inside a runtime of its own, where waiting for room would panic.
    outbound: mpsc::UnboundedSender<wire::HostMessage>,
    pub(super) plugins: Result<Arc<PluginSet>>,
    pub(super) questions: Questions,
    pub(super) threads: Arc<Semaphore>,
}

impl Host {
    pub(super) fn send(&self, message: host_message::Message) {
        // Without a receiver the stream is over, and with it this process.
        let _ = self.outbound.send(wire::HostMessage {
            message: Some(message),
        });
    }
}

/// Serves until the coordinator closes the stream.
///
/// # Errors
/// When it cannot be reached, or does not want this host.
pub(super) async fn serve(socket: &Path, token: &Token) -> Result<()> {
    broker_everything();
    let (outbound, messages) = mpsc::unbounded_channel();
    let host = Arc::new(Host {
        outbound,
        plugins: PluginSet::linked().map(Arc::new),
        questions: Questions::default(),
        threads: Arc::new(Semaphore::new(THREADS)),
    });
    host.send(host_message::Message::Hello(hello()));
    let mut inbound = tokio::time::timeout(WELCOME_DEADLINE, greet(socket, token, messages))
        .await
        .map_err(|_| {
            CleanroomError::timeout_error(format!(
                "the coordinator did not greet in {WELCOME_DEADLINE:?}"
            ))
        })??;
    // The end of the coordinator and the end of the stream are the same to a
    // host: there is nobody left to serve, or to tell an error to.
    while let Ok(Some(message)) = inbound.message().await {
        if let Some(message) = message.message {
            take(&host, message);
        }
    }
    Ok(())
}

async fn greet(
    socket: &Path,
    token: &Token,
    messages: mpsc::UnboundedReceiver<wire::HostMessage>,
) -> Result<tonic::Streaming<wire::CoordinatorMessage>> {
    let connection = connect(socket, token).await?;
    let mut client = HostsClient::new(connection).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let outbound = UnboundedReceiverStream::new(messages);
    let refused = |status: tonic::Status| status_error("serve", &status);
    let mut inbound = client.serve(outbound).await.map_err(refused)?.into_inner();
    let first = inbound.message().await.map_err(refused)?;
    match first.and_then(|message| message.message) {
        Some(coordinator_message::Message::Welcome(welcome)) => {
            Skew::check_welcome(&welcome)?;
            check(welcome.error_json.as_deref())?;
            Ok(inbound)
        }
        _ => Err(CleanroomError::protocol_error(
            "the coordinator did not greet",
        )),
    }
}

fn take(host: &Arc<Host>, message: coordinator_message::Message) {
    use coordinator_message::Message;
    match message {
        Message::Welcome(_) => {}
        Message::Call(call) => begin(host, call),
        Message::Cancel(cancel) => host.questions.cancel(cancel.id),
        Message::AmbientResult(result) => {
            let id = result.id;
            let answer = Box::new(AmbientAnswer::from_wire(result));
            host.questions.deliver(id, Event::Answer(answer));
        }
        Message::Hook(hook) => host.questions.deliver(hook.ambient, Event::Hook(hook)),
    }
}

fn begin(host: &Arc<Host>, call: wire::Call) {
    let id = call.id;
    // Here and not in the task: a cancel that follows must find the call.
    host.questions.begin(id);
    let host = Arc::clone(host);
    // The task ends with the process, if not with the call.
    tokio::spawn(async move {
        let result = match Call::from_wire(call) {
            Ok(call) => call::run(&host, call).await,
            Err(error) => Err(error),
        };
        host.questions.end(id);
        host.send(host_message::Message::Result(HookReply::to_wire(
            id, &result,
        )));
    });
}
