//! The networks of containers that talk to each other: one for each owner and name.

use std::sync::Arc;

use futures_util::future::join_all;
use tracing::Instrument;

use super::claim::Claim;
use super::request::Needs;
use super::table::{Network, Pending, once, pending};
use super::{Engine, limit};
use crate::backend::NetworkId;
use crate::error::{CleanroomError, Result};
use crate::plan::PlannedInstance;
use crate::service::{InstanceKey, OwnerId};

/// The name of an owner's network where the declaration says none.
const OWN: &str = "default";

impl Engine {
    /// The network that an instance joins under its name, and those it joins
    /// to reach what it needs.
    pub(super) async fn networks(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
        needs: &Needs,
    ) -> Result<(Option<NetworkId>, Vec<NetworkId>)> {
        if !planned.networked {
            return Ok((None, Vec::new()));
        }
        let network = self.network(claim, planned).await?;
        let mut joins = Vec::new();
        for need in needs.iter().filter_map(|(_, need)| need.as_ref()) {
            let Some(instance) = self.find(&need.handle) else {
                continue;
            };
            let theirs = self.planned(&instance.key)?;
            if !theirs.networked {
                continue;
            }
            let id = if instance.owner == OwnerId::Run {
                self.network(&self.claim_of_run(), &theirs).await?
            } else {
                self.network(claim, &theirs).await?
            };
            if id != network && !joins.contains(&id) {
                joins.push(id);
            }
        }
        Ok((Some(network), joins))
    }

    async fn network(&self, claim: &Claim, planned: &PlannedInstance) -> Result<NetworkId> {
        let container = planned.description.spec.as_ref();
        let container = container.and_then(|spec| spec.container.as_ref());
        let name = container.and_then(|container| container.network.name.clone());
        let name = name.unwrap_or_else(|| OWN.to_owned());
        let slot = (claim.owner.clone(), name.clone());
        let making = self
            .clone()
            .make_network(slot.clone(), planned.key.clone(), planned.backend);
        let make = || pending(self.0.making.spawn(making.in_current_span()));
        let made = {
            let mut inside = self.0.table.lock();
            once(
                &mut inside.networks,
                slot.clone(),
                claim,
                &planned.name,
                make,
            )
        };
        let network = made.clone().await;
        if network.is_err() {
            self.forget_network(&slot, &made);
        }
        Ok(network?.id)
    }

    async fn make_network(
        self,
        (owner, name): (OwnerId, String),
        key: InstanceKey,
        backend: crate::backend::BackendKind,
    ) -> Result<Network> {
        let what = format!("{name} of {owner}");
        let held = Arc::new(self.0.tracker.allocate("network", what)?);
        let name = format!("network {name}");
        let label = self.0.run.label(&name, &key);
        let on = self.backend(backend)?;
        let making = on.create_network(&label.attempt, &label);
        Ok(Network {
            backend,
            id: self
                .within(limit::MAKING, "the making", &name, making)
                .await?,
            _held: held,
        })
    }

    /// Removes the networks of `owner`. Its instances are gone by now.
    pub(super) async fn remove_networks(&self, owner: &OwnerId) -> Vec<CleanroomError> {
        let networks = self.0.table.lock().networks_of(owner);
        let removing = networks.into_iter().map(|(slot, made)| async move {
            // One that could not be made failed whoever asked for it.
            let removed = match made.clone().await {
                Ok(network) => match self.backend(network.backend) {
                    Ok(backend) => backend.remove_network(&network.id).await,
                    Err(error) => Err(error),
                },
                Err(_) => Ok(()),
            };
            self.forget_network(&slot, &made);
            Some(removed.err()?.with_context("network", &slot.1))
        });
        join_all(removing).await.into_iter().flatten().collect()
    }

    fn forget_network(&self, slot: &(OwnerId, String), made: &Pending<Network>) {
        let mut inside = self.0.table.lock();
        // Somebody may have made another one since.
        if inside.networks.get(slot).is_some_and(|it| it.ptr_eq(made)) {
            inside.networks.remove(slot);
        }
    }
}
