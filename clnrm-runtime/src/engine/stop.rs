//! Ends what an owner holds: dependants before dependencies, everything in the end.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::event::Subject;
use super::span::{plugin_stop, traced};
use super::table::{Instance, Pending};
use super::{Engine, LeaseState, limit};
use crate::backend::BackendKind;
use crate::error::{CleanroomError, Result};
use crate::lifecycle::LifecycleState;
use crate::service::{InstanceKey, OwnerId, ServiceHandle, Stop, StopSignal};

/// What to do with what a failed test held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing is kept.
    Nothing,
    /// Its slices and instances stay while the run lasts.
    WhileTheRunLasts,
    /// They stay when the run has ended, and what they need with them.
    AfterTheRun,
}

/// How an end is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Each gets the farewell that it asks for.
    Polite,
    /// Nobody has patience any more.
    Hard,
}

impl Engine {
    /// Ends the leases of one attempt of a test. Returns what went wrong.
    ///
    /// With [`Keep::WhileTheRunLasts`] the owner's slices and instances stay,
    /// for a person to look at, but for the [`unkept`](Engine::unkept); the end
    /// of the run removes what stays, unless it is [`Keep::AfterTheRun`]. What
    /// is only being made is given up in any case.
    ///
    /// It may be called again, and goes on when whoever waits gives up.
    pub async fn release(&self, owner: &OwnerId, keep: Keep) -> Vec<CleanroomError> {
        if *owner == OwnerId::Run {
            return vec![shared_by_the_run()];
        }
        let begun = self.0.table.lock().end_claims(owner);
        // Each task undoes what it has made, and then gives an error.
        join_all(begun).await;
        if keep != Keep::Nothing {
            let unkept = self.unkept(owner, keep);
            let (slices, mut instances) = {
                let mut inside = self.0.table.lock();
                if keep == Keep::AfterTheRun {
                    inside.kept.insert(owner.clone());
                }
                (inside.slices_of(owner), inside.instances_of(owner))
            };
            for slice in slices {
                self.say_slice(&slice, LeaseState::Kept, Duration::ZERO);
            }
            instances.retain(|it| unkept.contains(&it.key));
            return self.stop_in_waves(instances, Manner::Polite).await;
        }
        self.end_owner(owner, Manner::Polite).await
    }

    /// Stops everything, sweeps by label, and says what was still there: an
    /// empty list is a clean end. `hard` does without any farewell.
    ///
    /// What was to be kept after the run stays, unless it is `hard`: then
    /// [`Engine::keeps`] is true, and nothing is swept, as one label is on all.
    ///
    /// A hard one may follow a polite one that was given up, and overtakes it.
    pub async fn shutdown(&self, hard: bool) -> Vec<CleanroomError> {
        let manner = if hard { Manner::Hard } else { Manner::Polite };
        self.0.closing.cancel();
        // Whatever is being made is given up now, and undone.
        self.0.making.close();
        self.0.making.wait().await;
        if hard {
            self.0.table.lock().kept.clear();
        }
        let holders = self.0.table.lock().holders();
        for owner in &holders {
            self.0.table.lock().end_claims(owner);
        }
        let spared = self.0.table.lock().spare();
        self.leave_slices_to_their_instances();
        // Tests before the run: their instances may depend on its.
        let (run, tests): (Vec<_>, Vec<_>) = holders
            .into_iter()
            .partition(|owner| *owner == OwnerId::Run);
        let mut errors = Vec::new();
        for owners in [tests, run] {
            let ending = owners.iter().map(|owner| self.end_owner(owner, manner));
            errors.extend(join_all(ending).await.into_iter().flatten());
        }
        if spared {
            errors.extend(self.leave().await);
        } else {
            errors.extend(self.audit().await);
        }
        errors
    }

    /// The instances of `owner` that cannot stay for a look: where a service
    /// has a port of the host for itself, no other test could have it, unless
    /// `keep` is what somebody asked for. What needs such a one goes with it.
    #[must_use]
    pub fn unkept(&self, owner: &OwnerId, keep: Keep) -> BTreeSet<InstanceKey> {
        let instances = self.0.table.lock().instances_of(owner);
        let mut unkept = BTreeSet::new();
        if keep == Keep::AfterTheRun {
            return unkept;
        }
        loop {
            let goes = |it: &&Arc<Instance>| {
                self.has_host_port(&it.key) || it.needs.iter().any(|need| unkept.contains(need))
            };
            let goes = instances
                .iter()
                .filter(|it| !unkept.contains(&it.key))
                .filter(goes);
            let more: Vec<_> = goes.map(|it| it.key.clone()).collect();
            if more.is_empty() {
                return unkept;
            }
            unkept.extend(more);
        }
    }

    fn has_host_port(&self, key: &InstanceKey) -> bool {
        let known = self.0.plan.read().unwrap_or_else(PoisonError::into_inner);
        let planned = known.instances.get(key);
        let spec = planned.and_then(|planned| planned.description.spec.as_ref());
        spec.is_some_and(|spec| spec.ports.values().any(|port| port.host.is_some()))
    }

    /// Whether something stays after the end of the run.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.0.table.lock().keeps()
    }

    /// Leaves what is kept to the keeper.
    async fn leave(&self) -> Vec<CleanroomError> {
        let backends = self.0.backends.read();
        let backends = backends.unwrap_or_else(PoisonError::into_inner).clone();
        let leaving = backends.values().map(|backend| backend.leave());
        let left = join_all(leaving).await.into_iter();
        left.filter_map(Result::err).collect()
    }

    /// Ends the one instance that a backend runs behind `handle`, for whoever
    /// started it by hand. What is gone is no error.
    pub(crate) async fn discard(&self, handle: &ServiceHandle) -> Result<()> {
        let found = {
            let inside = self.0.table.lock();
            let mut instances = inside.instances.iter();
            // A hand-written start is an instance too, of the same name.
            let found =
                instances.find(|it| it.id == *handle.instance() && it.backend == handle.backend());
            found.cloned()
        };
        let Some(instance) = found else {
            return Ok(());
        };
        if instance.owner == OwnerId::Run {
            return Err(shared_by_the_run());
        }
        let mut ended = self.stop_instance(&instance, Manner::Polite).await;
        if !self.0.table.lock().holds(&instance.owner) {
            let errors = self.release(&instance.owner, Keep::Nothing).await;
            ended = ended.and_then(|()| errors.into_iter().next().map_or(Ok(()), Err));
        }
        ended
    }

    async fn end_owner(&self, owner: &OwnerId, manner: Manner) -> Vec<CleanroomError> {
        // A server that still writes would write into nothing: servers first.
        let mut errors = self.stop_instances(owner, manner).await;
        errors.extend(self.drop_slices(owner, manner).await);
        errors.extend(self.remove_networks(owner).await);
        errors
    }

    async fn drop_slices(&self, owner: &OwnerId, manner: Manner) -> Vec<CleanroomError> {
        let dropping = {
            let inside = self.0.table.lock();
            let slices = inside.slices_of(owner).into_iter();
            // Begun under the lock: nobody else leaves it to its instance now.
            let begun = slices.map(|slice| {
                let end = || {
                    self.clone()
                        .end_slice(Arc::clone(&slice), manner.farewell())
                };
                let dropped = slice.ending.begin(end);
                async move { manner.wait(self, slice.made.base.name(), dropped).await }
            });
            begun.collect::<Vec<_>>()
        };
        let dropped = join_all(dropping).await.into_iter();
        dropped.filter_map(Result::err).collect()
    }

    /// At the end of a run a slice goes with its instance, unless somebody
    /// else owns that, or it is being dropped already.
    fn leave_slices_to_their_instances(&self) {
        let left = {
            let mut inside = self.0.table.lock();
            let slices = inside.slices.clone().into_iter();
            let left = slices.filter(|slice| {
                let external = slice.made.base.backend() == BackendKind::External;
                !external && !slice.ending.has_begun()
            });
            let left = left.collect::<Vec<_>>();
            for slice in &left {
                inside.forget_slice(slice);
            }
            left
        };
        for slice in left {
            self.say_slice(&slice, LeaseState::Ended, Duration::ZERO);
        }
    }

    async fn stop_instances(&self, owner: &OwnerId, manner: Manner) -> Vec<CleanroomError> {
        let instances = self.0.table.lock().instances_of(owner);
        self.stop_in_waves(instances, manner).await
    }

    /// Stops instances, wave by wave: first those that no other of them needs.
    async fn stop_in_waves(
        &self,
        mut left: Vec<Arc<Instance>>,
        manner: Manner,
    ) -> Vec<CleanroomError> {
        let mut errors = Vec::new();
        while !left.is_empty() {
            let needed: BTreeSet<_> = left
                .iter()
                .flat_map(|it| it.needs.iter().cloned())
                .collect();
            let (mut wave, rest): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|it| !needed.contains(&it.key));
            left = rest;
            if wave.is_empty() {
                // No instance is free of dependants: impossible in a plan, but never a reason to leave one.
                wave.append(&mut left);
            }
            let stopping = wave.iter().map(|it| self.stop_instance(it, manner));
            errors.extend(join_all(stopping).await.into_iter().filter_map(Result::err));
        }
        errors
    }

    async fn stop_instance(&self, instance: &Arc<Instance>, manner: Manner) -> Result<()> {
        let overtakes = manner == Manner::Hard && instance.ending.has_begun();
        let end = || self.clone().end_instance(Arc::clone(instance), manner);
        let ended = instance.ending.begin(end);
        if overtakes && let Ok(backend) = self.backend(instance.backend) {
            // Somebody is being polite to it: it goes, and the farewell ends with it.
            backend.remove(&instance.id).await?;
        }
        manner
            .wait(self, &instance.handle.service_name, ended)
            .await
    }

    async fn end_instance(self, instance: Arc<Instance>, manner: Manner) -> Result<()> {
        let span = plugin_stop(&instance);
        let ended = traced(span, self.end(&instance, manner)).await;
        self.0.table.lock().forget_instance(&instance);
        ended
    }

    async fn end(&self, instance: &Instance, manner: Manner) -> Result<()> {
        let own_end = match manner {
            Manner::Polite => self.own_end(instance).await,
            Manner::Hard => None,
        };
        let begun = Instant::now();
        let subject = Subject::instance(instance);
        let id = Some(&instance.id);
        let mut phases = instance.phases;
        instance.goes_to(LifecycleState::Stopping);
        self.say(&subject, id, LifecycleState::Stopping, phases, None);
        let ended = self.end_on_backend(instance, manner).await;
        let ended = ended.map_err(|error| {
            error
                .with_context("service", &instance.handle.service_name)
                .with_context("phase", "stop")
        });
        phases.stop = self.0.clock.since(begun);
        let state = match ended {
            Ok(()) => LifecycleState::Stopped,
            Err(_) => LifecycleState::Failed,
        };
        instance.goes_to(state);
        let error = ended.as_ref().err().or(own_end.as_ref());
        self.say(&subject, id, state, phases, error);
        ended
    }

    async fn end_on_backend(&self, instance: &Instance, manner: Manner) -> Result<()> {
        match instance.backend {
            BackendKind::External => Ok(()),
            BackendKind::Plugin => {
                let stopping = self.0.hooks.stop(&instance.service, &instance.handle);
                self.within(
                    manner.farewell(),
                    "`stop`",
                    &instance.handle.service_name,
                    stopping,
                )
                .await
            }
            kind => {
                let backend = self.backend(kind)?;
                let stop = manner.stop(instance.stop);
                let stopped = backend.stop(&instance.id, stop).await;
                // Removed even when it did not stop: removal is by force.
                backend.remove(&instance.id).await.and(stopped)
            }
        }
    }
}

fn shared_by_the_run() -> CleanroomError {
    CleanroomError::validation_error("what the run shares ends with the run")
}

impl Instance {
    /// Nobody but its end changes the state of an instance that runs; what
    /// stands in its way is told, and does not keep it from ending.
    fn goes_to(&self, state: LifecycleState) {
        if let Err(error) = self.life.become_state(state) {
            tracing::error!(instance = %self.id, %error, "an instance is not in the state it should be");
        }
    }
}

impl Manner {
    /// How an instance is asked to stop that wants `stop`.
    fn stop(self, stop: Stop) -> Stop {
        match self {
            Self::Polite => stop,
            Self::Hard => Stop {
                signal: StopSignal::Kill,
                grace: Duration::ZERO,
            },
        }
    }

    /// How long plugin code may take.
    fn farewell(self) -> Duration {
        match self {
            Self::Polite => limit::FAREWELL,
            Self::Hard => limit::HARD_FAREWELL,
        }
    }

    /// Waits for an end that a polite one may have begun, which has more
    /// patience than a hard one.
    async fn wait(self, engine: &Engine, of: &str, ended: Pending<()>) -> Result<()> {
        match self {
            Self::Polite => ended.await,
            Self::Hard => {
                let limit = limit::HARD_FAREWELL * 2;
                engine.within(limit, "the end", of, ended).await
            }
        }
    }
}
