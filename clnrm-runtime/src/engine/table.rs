//! Who holds what: the engine's only mutable state, behind one lock that no await crosses.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::claim::{Claim, Modes, given_up};
use crate::backend::{BackendKind, NetworkId};
use crate::declare::Attachment;
use crate::error::{CleanroomError, Result};
use crate::lifecycle::{Lifecycle, Resource};
use crate::service::{InstanceId, InstanceKey, OwnerId, ServiceHandle, ServiceId, Slice, Stop};

/// A result that many wait for and one task makes. The task goes on when a
/// waiter is cancelled, so that nothing is lost between two of them.
pub(super) type Pending<T> = Shared<BoxFuture<'static, Result<T>>>;

#[derive(Default)]
pub(super) struct Table(Mutex<Inside>);

#[derive(Default)]
pub(super) struct Inside {
    pub(super) leases: BTreeMap<(OwnerId, InstanceKey), Pending<Attachment>>,
    pub(super) bases: BTreeMap<(OwnerId, InstanceKey), Pending<Attachment>>,
    pub(super) networks: BTreeMap<(OwnerId, String), Pending<Network>>,
    /// In the order in which they became ready: dependencies first.
    pub(super) instances: Vec<Arc<Instance>>,
    pub(super) slices: Vec<Arc<HeldSlice>>,
    numbers: BTreeMap<InstanceKey, BTreeSet<u32>>,
    serial: u64,
    owners: BTreeMap<OwnerId, CancellationToken>,
    /// Whose slices and instances stay after the run.
    pub(super) kept: BTreeSet<OwnerId>,
    /// What stays after the run, taken out of everything above.
    spared: Spared,
}

/// What stays after the run.
#[derive(Default)]
struct Spared {
    instances: Vec<Arc<Instance>>,
    slices: Vec<Arc<HeldSlice>>,
    networks: Vec<Pending<Network>>,
}

/// An instance that runs.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) owner: OwnerId,
    pub(super) key: InstanceKey,
    pub(super) service: ServiceId,
    pub(super) backend: BackendKind,
    pub(super) id: InstanceId,
    pub(super) stop: Stop,
    pub(super) handle: ServiceHandle,
    pub(super) needs: Vec<InstanceKey>,
    pub(super) life: Lifecycle,
    pub(super) phases: super::Phases,
    pub(super) ending: Ending,
    /// Its holder has stopped it.
    pub(super) halted: AtomicBool,
    pub(super) _held: Arc<Resource>,
}

/// A slice that somebody owns.
#[derive(Debug)]
pub(super) struct HeldSlice {
    pub(super) owner: OwnerId,
    pub(super) made: MadeSlice,
    pub(super) ending: Ending,
    pub(super) _held: Arc<Resource>,
}

/// A slice, and what it takes to drop it.
#[derive(Debug, Clone)]
pub(super) struct MadeSlice {
    pub(super) key: InstanceKey,
    pub(super) service: ServiceId,
    /// The instance that it is a slice of.
    pub(super) base: ServiceHandle,
    pub(super) slice: Slice,
}

/// A network that an owner has.
#[derive(Debug, Clone)]
pub(super) struct Network {
    pub(super) backend: BackendKind,
    pub(super) id: NetworkId,
    pub(super) _held: Arc<Resource>,
}

/// The end of something: begun by whoever asks first, awaited by everybody.
#[derive(Debug, Default)]
pub(super) struct Ending(OnceLock<Pending<()>>);

impl Ending {
    pub(super) fn has_begun(&self) -> bool {
        self.0.get().is_some()
    }

    /// Begins it in a task of its own, unless it has begun.
    pub(super) fn begin<F>(&self, end: impl FnOnce() -> F) -> Pending<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let begin = || pending(tokio::spawn(end().in_current_span()));
        self.0.get_or_init(begin).clone()
    }
}

impl Table {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A claim of `owner`, which ends with it and with `closing`.
    pub(super) fn claim(&self, owner: OwnerId, modes: Modes, closing: &CancellationToken) -> Claim {
        let mut inside = self.lock();
        let ended = inside.owners.entry(owner.clone());
        let ended = ended.or_insert_with(|| closing.child_token()).clone();
        Claim {
            owner,
            modes,
            ended,
        }
    }
}

impl Inside {
    /// The lowest number that no living slice of the instance has, and a
    /// serial that no slice of the run ever had.
    pub(super) fn number(&mut self, key: &InstanceKey) -> (u32, u64) {
        let used = self.numbers.entry(key.clone()).or_default();
        let number = (1..)
            .find(|number| !used.contains(number))
            .unwrap_or(u32::MAX);
        used.insert(number);
        self.serial += 1;
        (number, self.serial)
    }

    pub(super) fn free_number(&mut self, key: &InstanceKey, number: u32) {
        if let Some(used) = self.numbers.get_mut(key) {
            used.remove(&number);
        }
    }

    /// Ends the claims of `owner`, and gives what was made or begun for them.
    /// Nothing more is: every place that begins something looks at the claim
    /// under this lock.
    pub(super) fn end_claims(&mut self, owner: &OwnerId) -> Vec<Pending<Attachment>> {
        if let Some(ended) = self.owners.remove(owner) {
            ended.cancel();
        }
        let leases = take(&mut self.leases, owner);
        leases
            .into_iter()
            .chain(take(&mut self.bases, owner))
            .collect()
    }

    /// Puts aside what stays after the run, so that nothing ends it: what the
    /// kept owners have, and all that this needs. Says whether there is any.
    pub(super) fn spare(&mut self) -> bool {
        let kept = std::mem::take(&mut self.kept);
        let mut needed: BTreeSet<InstanceKey> = BTreeSet::new();
        let mut open = Vec::new();
        for slice in self.slices.iter().filter(|it| kept.contains(&it.owner)) {
            open.push(slice.made.key.clone());
        }
        for instance in self.instances.iter().filter(|it| kept.contains(&it.owner)) {
            open.extend(instance.needs.iter().cloned());
        }
        while let Some(key) = open.pop() {
            if needed.insert(key.clone()) {
                let all = self.instances.iter().filter(|it| it.key == key);
                open.extend(all.flat_map(|it| it.needs.iter().cloned()));
            }
        }
        let stays = |owner: &OwnerId, key: &InstanceKey| {
            kept.contains(owner) || (*owner == OwnerId::Run && needed.contains(key))
        };
        let instances = self
            .instances
            .extract_if(.., |it| stays(&it.owner, &it.key));
        self.spared.instances.extend(instances);
        let slices = self
            .slices
            .extract_if(.., |it| stays(&it.owner, &it.made.key));
        self.spared.slices.extend(slices);
        let owners: BTreeSet<OwnerId> = self
            .spared
            .instances
            .iter()
            .map(|it| it.owner.clone())
            .collect();
        for owner in &owners {
            self.spared.networks.extend(take(&mut self.networks, owner));
        }
        self.keeps()
    }

    /// Whether something stays after the run.
    pub(super) fn keeps(&self) -> bool {
        !self.spared.instances.is_empty() || !self.spared.slices.is_empty()
    }

    /// Everybody who holds something, or has begun to.
    pub(super) fn holders(&self) -> BTreeSet<OwnerId> {
        let begun = self.leases.keys().chain(self.bases.keys());
        let begun = begun.map(|(owner, _)| owner);
        let networks = self.networks.keys().map(|(owner, _)| owner);
        let instances = self.instances.iter().map(|it| &it.owner);
        let slices = self.slices.iter().map(|it| &it.owner);
        begun
            .chain(networks)
            .chain(instances)
            .chain(slices)
            .cloned()
            .collect()
    }

    /// Whether `owner` has an instance or a slice.
    pub(super) fn holds(&self, owner: &OwnerId) -> bool {
        let mut instances = self.instances.iter();
        let mut slices = self.slices.iter();
        instances.any(|it| it.owner == *owner) || slices.any(|it| it.owner == *owner)
    }

    pub(super) fn instances_of(&self, owner: &OwnerId) -> Vec<Arc<Instance>> {
        let instances = self.instances.iter();
        instances.filter(|it| it.owner == *owner).cloned().collect()
    }

    pub(super) fn slices_of(&self, owner: &OwnerId) -> Vec<Arc<HeldSlice>> {
        let slices = self.slices.iter();
        slices.filter(|it| it.owner == *owner).cloned().collect()
    }

    pub(super) fn networks_of(
        &self,
        owner: &OwnerId,
    ) -> Vec<((OwnerId, String), Pending<Network>)> {
        let networks = self.networks.iter();
        let networks = networks.filter(|((holder, _), _)| holder == owner);
        networks
            .map(|(slot, network)| (slot.clone(), network.clone()))
            .collect()
    }

    pub(super) fn forget_instance(&mut self, instance: &Arc<Instance>) {
        self.instances.retain(|it| !Arc::ptr_eq(it, instance));
    }

    pub(super) fn forget_slice(&mut self, slice: &Arc<HeldSlice>) {
        self.slices.retain(|it| !Arc::ptr_eq(it, slice));
    }
}

fn take<K: Ord + Clone, T>(map: &mut BTreeMap<(OwnerId, K), T>, owner: &OwnerId) -> Vec<T> {
    let keys = map
        .keys()
        .filter(|(holder, _)| holder == owner)
        .cloned()
        .collect::<Vec<_>>();
    keys.iter().filter_map(|key| map.remove(key)).collect()
}

/// What is in a slot of the table: made when a claim asks for it first, and
/// never for a claim that has ended.
pub(super) fn once<K: Ord, T: Clone + Send + Sync + 'static>(
    slots: &mut BTreeMap<K, Pending<T>>,
    slot: K,
    claim: &Claim,
    name: &str,
    make: impl FnOnce() -> Pending<T>,
) -> Pending<T> {
    if claim.has_ended() {
        let error = given_up(name);
        return async move { Err(error) }.boxed().shared();
    }
    slots.entry(slot).or_insert_with(make).clone()
}

/// The result of a task, for whoever waits.
pub(super) fn pending<T: Clone + Send + Sync + 'static>(task: JoinHandle<Result<T>>) -> Pending<T> {
    async move {
        match task.await {
            Ok(result) => result,
            Err(error) => Err(CleanroomError::internal_error(
                "a task of the engine did not finish",
            )
            .with_source(error)),
        }
    }
    .boxed()
    .shared()
}

/// How a lease was taken, for its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// As the test's plan says.
    Test(crate::plan::LeaseMode),
    /// On behalf of the run.
    Run,
}
