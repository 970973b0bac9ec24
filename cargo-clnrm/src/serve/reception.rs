//! Who is expected at the socket: a secret for each process that the coordinator starts.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clnrm_runtime::Result;
use clnrm_runtime::protocol::{
    HOST_VARIABLE, RUN_VARIABLE, SOCKET_VARIABLE, Skew, TOKEN_METADATA, TOKEN_VARIABLE, Token, wire,
};
use clnrm_runtime::service::{OwnerId, RunId, TestId};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

/// One attempt of one test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// The test.
    pub test: TestId,
    /// From 1.
    pub number: u32,
}

impl From<Attempt> for OwnerId {
    fn from(attempt: Attempt) -> Self {
        Self::Test {
            test: attempt.test,
            attempt: attempt.number,
        }
    }
}

/// What a host brings when it dials in; a skew when it is of another version.
pub(super) type Arrival = Result<Streams, Skew>;

/// The two directions of a host's stream.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) inbound: tonic::Streaming<wire::HostMessage>,
    /// Without bounds: messages are one or two for each call, and calls are waited for.
    pub(super) outbound: mpsc::UnboundedSender<Result<wire::CoordinatorMessage, Status>>,
}

#[derive(Debug)]
enum Peer {
    Test(Attempt),
    /// Whoever waits for the host; gone once it has dialled in.
    Host(Option<oneshot::Sender<Arrival>>),
}

/// Who is expected at the socket. Clones are the same reception.
#[derive(Clone)]
pub struct Reception(Arc<Inner>);

struct Inner {
    socket: PathBuf,
    run: RunId,
    expected: Mutex<HashMap<Token, Peer>>,
}

impl Reception {
    /// Nobody is expected yet. Nothing listens at `socket` until a
    /// [`Server`](super::Server) does.
    #[must_use]
    pub fn new(socket: PathBuf, run: RunId) -> Self {
        Self(Arc::new(Inner {
            socket,
            run,
            expected: Mutex::default(),
        }))
    }

    /// Where it is.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.0.socket
    }

    /// Expects the process of `attempt`, as long as the ticket is kept.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn expect_test(&self, attempt: Attempt) -> Result<Ticket> {
        self.expect(Peer::Test(attempt), SOCKET_VARIABLE)
    }

    /// Expects a host, which dials in once.
    pub(super) fn expect_host(&self) -> Result<(Ticket, oneshot::Receiver<Arrival>)> {
        let (send, receive) = oneshot::channel();
        let ticket = self.expect(Peer::Host(Some(send)), HOST_VARIABLE)?;
        Ok((ticket, receive))
    }

    fn expect(&self, peer: Peer, variable: &'static str) -> Result<Ticket> {
        let token = Token::random()?;
        self.expected().insert(token.clone(), peer);
        Ok(Ticket {
            token,
            variable,
            reception: self.clone(),
        })
    }

    /// The test that makes `request`.
    pub(super) fn test<T>(&self, request: &tonic::Request<T>) -> Result<Attempt, Status> {
        match self.expected().get(&token(request)?) {
            Some(Peer::Test(attempt)) => Ok(attempt.clone()),
            Some(Peer::Host(_)) => Err(Status::permission_denied("a host leases nothing")),
            None => Err(unknown()),
        }
    }

    /// Whoever waits for the host that makes `request`.
    pub(super) fn host<T>(
        &self,
        request: &tonic::Request<T>,
    ) -> Result<oneshot::Sender<Arrival>, Status> {
        match self.expected().get_mut(&token(request)?) {
            Some(Peer::Host(waiting)) => waiting
                .take()
                .ok_or_else(|| Status::already_exists("this host has dialled in already")),
            Some(Peer::Test(_)) => Err(Status::permission_denied("a test is no host")),
            None => Err(unknown()),
        }
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<Token, Peer>> {
        self.0
            .expected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// `Debug` leaves out the secrets.
impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reception")
            .field("socket", &self.0.socket)
            .field("expected", &self.expected().len())
            .finish()
    }
}

fn token<T>(request: &tonic::Request<T>) -> Result<Token, Status> {
    let token = request.metadata().get(TOKEN_METADATA);
    let token = token.and_then(|token| token.to_str().ok());
    token.map(Token::new).ok_or_else(unknown)
}

fn unknown() -> Status {
    Status::unauthenticated("this token is not, or no longer, one of the run's")
}

/// A process that is expected. When this is dropped, it no longer is.
#[derive(Debug)]
pub struct Ticket {
    token: Token,
    variable: &'static str,
    reception: Reception,
}

impl Ticket {
    /// What the process needs in its environment.
    #[must_use]
    pub fn env(&self) -> BTreeMap<OsString, OsString> {
        let Inner { socket, run, .. } = &*self.reception.0;
        [
            (self.variable, socket.clone().into_os_string()),
            (TOKEN_VARIABLE, self.token.as_str().into()),
            (RUN_VARIABLE, run.as_str().into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
    }

    /// The secret.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.reception.expected().remove(&self.token);
    }
}
