//! Gives owners what the plan promises them: an instance, a slice, or the run's own lease.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::Instant;
use tracing::Instrument;

use super::claim::{Claim, Modes};
use super::request::Needs;
use super::table::{How, Pending, once, pending};
use super::{Engine, EngineEvent, LeaseEvent, LeaseState};
use crate::declare::Attachment;
use crate::error::Result;
use crate::plan::{LeaseMode, PlannedInstance, PlannedLease, PlannedTest};
use crate::service::{InstanceKey, OwnerId};
use crate::session::Leases;

impl Engine {
    /// Leases everything that the signature of a test names, in parallel
    /// where nothing depends on another.
    ///
    /// Whoever waits may give up: what was begun goes on until
    /// [`Engine::release`], which is due after an error too.
    ///
    /// # Errors
    /// When the test cannot be planned, or a service that is not optional
    /// does not start.
    pub async fn acquire(&self, test: &PlannedTest, attempt: u32) -> Result<Leases> {
        if let Some(error) = &test.error {
            return Err(error.clone());
        }
        let owner = OwnerId::Test {
            test: test.test.clone(),
            attempt,
        };
        let modes: Modes = Arc::new(
            test.leases
                .iter()
                .map(|lease| (lease.key.clone(), lease.mode))
                .collect(),
        );
        let claim = self.claim(owner, modes);
        let named = test.leases.iter().filter(|lease| lease.named);
        let acquiring = named.map(|lease| {
            let pending = self.lease(&claim, &lease.key, How::Test(lease.mode));
            let (claim, begun) = (&claim, Instant::now());
            async move {
                // What the run leases goes on without this owner.
                match claim.unless_ended(&lease.name, pending).await {
                    Ok(attachment) => {
                        if lease.mode == LeaseMode::Shared {
                            self.say_shared(lease, &claim.owner, self.0.clock.since(begun));
                        }
                        Ok((lease.service.clone(), Some(attachment)))
                    }
                    Err(error) if lease.optional => {
                        tracing::warn!(service = %lease.name, error = %error.report(), "going on without it");
                        Ok((lease.service.clone(), None))
                    }
                    Err(error) => Err(error),
                }
            }
        });
        let leases = join_all(acquiring)
            .await
            .into_iter()
            .collect::<Result<Vec<_>>>()?;
        Ok(Leases::new(leases))
    }

    /// That a test has its part in what the run leased once.
    fn say_shared(&self, lease: &PlannedLease, owner: &OwnerId, took: Duration) {
        self.0.events.send(EngineEvent::Lease(LeaseEvent {
            key: lease.key.clone(),
            name: lease.name.clone(),
            owner: owner.clone(),
            mode: LeaseMode::Shared,
            state: LeaseState::Granted(None),
            took,
        }));
    }

    fn claim(&self, owner: OwnerId, modes: Modes) -> Claim {
        self.0.table.claim(owner, modes, &self.0.closing)
    }

    /// The claim of the run: until its end.
    pub(super) fn claim_of_run(&self) -> Claim {
        self.claim(OwnerId::Run, Modes::default())
    }

    /// The lease of an owner on `key`: one for each owner and key.
    pub(super) fn lease(&self, claim: &Claim, key: &InstanceKey, how: How) -> Pending<Attachment> {
        let claim = match how {
            How::Test(LeaseMode::Own | LeaseMode::Slice) => claim.clone(),
            How::Test(LeaseMode::Shared) | How::Run => self.claim_of_run(),
        };
        let planned = match self.planned(key) {
            Ok(planned) => planned,
            Err(error) => return async move { Err(error) }.boxed().shared(),
        };
        let (engine, asker, name) = (self.clone(), claim.clone(), planned.name.clone());
        let make = || {
            let task = async move { engine.make_lease(asker, planned, how).await };
            pending(self.0.making.spawn(task.in_current_span()))
        };
        let slot = (claim.owner.clone(), key.clone());
        once(&mut self.0.table.lock().leases, slot, &claim, &name, make)
    }

    async fn make_lease(
        self,
        claim: Claim,
        planned: PlannedInstance,
        how: How,
    ) -> Result<Attachment> {
        let begun = Instant::now();
        let attachment = match (how, planned.run_slice) {
            (How::Test(LeaseMode::Own), _) => self.base(&claim, &planned).await?,
            (How::Test(LeaseMode::Slice), _) | (_, true) => {
                self.make_slice(&claim, &planned).await?
            }
            (_, false) => self.base(&claim, &planned).await?,
        };
        let mode = match how {
            How::Test(mode) => mode,
            How::Run => LeaseMode::Shared,
        };
        let slice = attachment.handle.slice().map(|slice| slice.id.name.clone());
        self.0.events.send(EngineEvent::Lease(LeaseEvent {
            key: planned.key,
            name: planned.name,
            owner: claim.owner,
            mode,
            state: LeaseState::Granted(slice),
            took: self.0.clock.since(begun),
        }));
        Ok(attachment)
    }

    /// The instance of an owner, started when it is first asked for.
    pub(super) fn base(&self, claim: &Claim, planned: &PlannedInstance) -> Pending<Attachment> {
        let (engine, asker, planned) = (self.clone(), claim.clone(), planned.clone());
        let name = planned.name.clone();
        let slot = (claim.owner.clone(), planned.key.clone());
        let make = || {
            let task = async move { engine.start(asker, planned).await };
            pending(self.0.making.spawn(task.in_current_span()))
        };
        once(&mut self.0.table.lock().bases, slot, claim, &name, make)
    }

    /// What an instance needs, by field; `None` where an optional one did not
    /// start.
    pub(super) fn needs<'a>(
        &'a self,
        claim: &'a Claim,
        planned: &'a PlannedInstance,
    ) -> BoxFuture<'a, Result<Needs>> {
        let leases = planned.needs.iter().map(move |need| {
            let how = match claim.owner {
                OwnerId::Run => How::Run,
                OwnerId::Test { .. } => {
                    How::Test(*claim.modes.get(&need.key).unwrap_or(&LeaseMode::Own))
                }
            };
            let pending = self.lease(claim, &need.key, how);
            async move {
                match pending.await {
                    Ok(attachment) => Ok((need.field.clone(), Some(attachment))),
                    Err(_) if need.optional => Ok((need.field.clone(), None)),
                    Err(error) => Err(error.with_context("needed by", &planned.name)),
                }
            }
        });
        join_all(leases)
            .map(|needs| needs.into_iter().collect())
            .boxed()
    }
}
