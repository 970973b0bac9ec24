//! What a running test holds of its session, wherever that is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::local::Local;
use super::remote::Remote;
use super::{Leases, TestCase};
use crate::engine::{Keep, block_on};
use crate::error::Result;
use crate::protocol::{Finished, Outcome};
use crate::service::OwnerId;

/// The leases of a test, and whom to give them back to.
#[derive(Debug)]
pub(super) struct Held {
    leases: Leases,
    from: From,
    begun: Instant,
    body: Option<Instant>,
}

#[derive(Debug)]
enum From {
    Local(Arc<Local>, OwnerId),
    Remote(Remote),
}

impl Held {
    /// Leases what `case` names.
    pub(super) fn acquire(case: &'static TestCase) -> Result<Self> {
        block_on(async move {
            let begun = Instant::now();
            let (leases, from) = if Remote::is_asked_for() {
                let remote = Remote::connect().await?;
                let leases = remote.acquire(&case.descriptor()?.needs).await?;
                (leases, From::Remote(remote))
            } else {
                let local = Local::current().await?;
                let (owner, leases) = local.acquire(case).await?;
                (leases, From::Local(local, owner))
            };
            Ok(Self {
                leases,
                from,
                begun,
                body: None,
            })
        })?
    }

    /// What was leased.
    pub(super) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// Whether somebody else limits the time of the body.
    pub(super) fn is_watched(&self) -> bool {
        matches!(self.from, From::Remote(_))
    }

    /// Says that fixtures are set up and the body begins.
    pub(super) fn begin_body(&mut self) -> Result<()> {
        self.body = Some(Instant::now());
        match &self.from {
            From::Local(..) => Ok(()),
            From::Remote(remote) => {
                let remote = remote.clone();
                block_on(async move { remote.begin_body().await })?
            }
        }
    }

    /// Gives the leases back. A test that failed keeps what it held for a look.
    pub(super) fn finish(self, outcome: Outcome, message: Option<String>) -> Result<()> {
        let now = Instant::now();
        let setup = self.body.unwrap_or(now).duration_since(self.begun);
        let body = self
            .body
            .map_or(Duration::ZERO, |body| now.duration_since(body));
        match self.from {
            From::Local(local, owner) => {
                let keep = match outcome {
                    Outcome::Passed => Keep::Nothing,
                    _ => Keep::WhileTheRunLasts,
                };
                block_on(async move { local.release(&owner, keep).await })
            }
            From::Remote(remote) => {
                let finished = Finished {
                    outcome,
                    message,
                    setup,
                    body,
                };
                block_on(async move { remote.finished(&finished).await })?
            }
        }
    }
}
