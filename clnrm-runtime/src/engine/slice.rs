//! Makes the slices of the run's instances, and drops them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::claim::Claim;
use super::cleanup::{Cleanup, Undo};
use super::explain::{declared, explain};
use super::limit;
use super::table::{Ending, HeldSlice, MadeSlice};
use super::{Engine, EngineEvent, LeaseEvent, LeaseState};
use crate::declare::Attachment;
use crate::error::Result;
use crate::plan::{LeaseMode, PlannedInstance};
use crate::service::SliceId;

impl Engine {
    pub(super) async fn make_slice(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
    ) -> Result<Attachment> {
        let base = self.base(&self.claim_of_run(), planned);
        let base = claim.unless_ended(&planned.name, base).await?;
        let cleanup = Cleanup::new(planned.backend, &self.0.left);
        let made = self.slicing(claim, planned, &base, &cleanup);
        let made = claim.unless_ended(&planned.name, made).await;
        cleanup.finished().await;
        let (slice, undo) = made.map_err(|error| explain(error, planned, "slice"))?;
        let handle = base.handle.sliced(slice.made.slice.clone());
        self.0.table.lock().slices.push(Arc::new(slice));
        undo.keep();
        Ok(Attachment {
            handle,
            needs: base.needs,
        })
    }

    async fn slicing(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
        base: &Attachment,
        cleanup: &Cleanup,
    ) -> Result<(HeldSlice, Undo)> {
        let owner = claim.owner.clone();
        let what = format!("{} of {owner}", planned.name);
        let held = Arc::new(self.0.tracker.allocate("slice", what)?);
        let (number, serial) = self.0.table.lock().number(&planned.key);
        let id = SliceId {
            name: format!("clnrm_{}_{serial}", self.0.run.id()),
            number,
        };
        let (engine, cleaner) = (self.clone(), cleanup.clone());
        let (key, service, base) = (planned.key.clone(), declared(planned)?, base.handle.clone());
        let limit = limit::of_plugin(planned);
        let step = async move {
            let asked = async {
                let answer = engine.0.hooks.slice(&service, &base, &id).await;
                if answer.is_err() {
                    // Without an answer its plugin may still be at work on the number.
                    engine.0.table.lock().free_number(&key, number);
                }
                answer
            };
            let slice = engine.within(limit, "`slice`", base.name(), asked).await?;
            let made = MadeSlice {
                key,
                service,
                base,
                slice,
            };
            let (unwanted, kept) = (made.clone(), Arc::clone(&held));
            let undo = cleaner.undo(async move {
                if let Err(error) = engine.unmake_slice(&unwanted, limit::FAREWELL).await {
                    tracing::error!(error = %error.report(), "cannot drop a slice that nobody waits for");
                }
                drop(kept);
            });
            let slice = HeldSlice {
                owner,
                made,
                ending: Ending::default(),
                _held: held,
            };
            Ok((slice, undo))
        };
        cleanup.whole(step).await
    }

    /// Ends a slice: its plugin drops it.
    pub(super) async fn end_slice(self, slice: Arc<HeldSlice>, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        let ended = self.unmake_slice(&slice.made, limit).await;
        self.0.table.lock().forget_slice(&slice);
        self.say_slice(&slice, LeaseState::Ended, self.0.clock.since(begun));
        ended.map_err(|error| {
            error
                .with_context("service", slice.made.base.name())
                .with_context("phase", "drop slice")
        })
    }

    async fn unmake_slice(&self, made: &MadeSlice, limit: Duration) -> Result<()> {
        let MadeSlice {
            key,
            service,
            base,
            slice,
        } = made;
        let dropping = self.0.hooks.drop_slice(service, base, slice);
        self.within(limit, "`drop_slice`", base.name(), dropping)
            .await?;
        // A number whose slice may still be there is nobody else's.
        self.0.table.lock().free_number(key, slice.id.number);
        Ok(())
    }

    pub(super) fn say_slice(&self, slice: &HeldSlice, state: LeaseState, took: Duration) {
        self.0.events.send(EngineEvent::Lease(LeaseEvent {
            key: slice.made.key.clone(),
            name: slice.made.base.name().to_owned(),
            owner: slice.owner.clone(),
            mode: LeaseMode::Slice,
            state,
            took,
        }));
    }
}
