//! Where a host dials in: who it is, which version it is of, and to whom its stream goes.

use std::time::Duration;

use async_trait::async_trait;
use clnrm_runtime::protocol::Skew;
use clnrm_runtime::protocol::wire::{self, coordinator_message, host_message, hosts_server};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::serve::lease::welcome;
use crate::serve::reception::{Reception, Streams};

/// How long a host that has dialled in may take to say hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// Receives hosts.
#[derive(Debug)]
pub(in crate::serve) struct HostDesk {
    reception: Reception,
}

impl HostDesk {
    pub(in crate::serve) fn new(reception: Reception) -> Self {
        Self { reception }
    }
}

#[async_trait]
impl hosts_server::Hosts for HostDesk {
    type ServeStream = UnboundedReceiverStream<Result<wire::CoordinatorMessage, Status>>;

    async fn serve(
        &self,
        request: Request<Streaming<wire::HostMessage>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        let waiting = self.reception.host(&request)?;
        let mut inbound = request.into_inner();
        let hello = tokio::time::timeout(HELLO_DEADLINE, hello(&mut inbound)).await;
        let hello = hello.map_err(|_| Status::deadline_exceeded("no hello"))??;
        let (outbound, messages) = mpsc::unbounded_channel();
        let greeting = wire::CoordinatorMessage {
            message: Some(coordinator_message::Message::Welcome(welcome())),
        };
        // The receiver is in this function: it cannot be gone.
        let _ = outbound.send(Ok(greeting));
        let arrival = match Skew::check_hello(&hello) {
            Ok(()) => Ok(Streams { inbound, outbound }),
            // It reads the greeting, sees the same, and finds its stream ended.
            Err(skew) => Err(skew),
        };
        // Nobody waits for a host that was given up: its stream ends at once.
        let _ = waiting.send(arrival);
        Ok(Response::new(UnboundedReceiverStream::new(messages)))
    }
}

async fn hello(inbound: &mut Streaming<wire::HostMessage>) -> Result<wire::HelloRequest, Status> {
    match inbound.message().await?.and_then(|first| first.message) {
        Some(host_message::Message::Hello(hello)) => Ok(hello),
        _ => Err(Status::invalid_argument("the first message is no hello")),
    }
}
