//! A backend that runs nothing: state in memory, time on tokio's clock, faults from a script.
//!
//! It keeps the contract, so what the engine does on it the engine does on a
//! real one. What a real engine makes before it answers is there from the first
//! moment of the call: a call that is cut leaves it, as it would there.

mod backend;
mod instance;
mod script;
#[cfg(test)]
mod tests;

pub use script::{Call, End, Script, Step};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{CreateRequest, NetworkId};
use crate::error::{CleanroomError, Result};
use crate::label::Label;
use crate::service::InstanceId;
use instance::Instance;

/// A backend that runs nothing. Clones are the same backend.
#[derive(Debug, Clone)]
pub struct Fake {
    script: Script,
    inside: Arc<Mutex<Inside>>,
    /// Sent to whenever an instance changes.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Inside {
    instances: BTreeMap<InstanceId, Instance>,
    networks: BTreeMap<NetworkId, Label>,
    requests: Vec<CreateRequest>,
    /// Services whose instances stay when they are removed.
    left: BTreeSet<String>,
    /// After how long an instance of a service ends by itself, and its code.
    ends: BTreeMap<String, (Duration, i32)>,
    /// Why the instances of a service end by themselves.
    reasons: BTreeMap<String, CleanroomError>,
    next: u16,
}

impl Default for Fake {
    fn default() -> Self {
        Self::new(Script::default())
    }
}

impl Fake {
    /// A backend that does what `script` says.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self {
            script,
            inside: Arc::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// What it does, and what it was asked.
    #[must_use]
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// From now on the instances of `service` stay when they are removed.
    pub fn leaves(&self, service: &str) {
        self.inside().left.insert(service.to_owned());
    }

    /// From now on instances of `service` end with `code` so long after their start.
    pub fn ends(&self, service: &str, after: Duration, code: i32) {
        self.inside().ends.insert(service.to_owned(), (after, code));
    }

    /// From now on that is why instances of `service` end by themselves.
    pub fn explains(&self, service: &str, why: CleanroomError) {
        self.inside().reasons.insert(service.to_owned(), why);
    }

    /// What is there: instances and networks, one line each.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        self.inside().lines(|_| true)
    }

    /// The services that have an instance, one for each instance.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        let inside = self.inside();
        let services = inside.instances.values();
        let mut names: Vec<_> = services.map(|it| it.request.service.clone()).collect();
        names.sort();
        names
    }

    /// What was asked to be created for `service`, attempt by attempt.
    #[must_use]
    pub fn requests(&self, service: &str) -> Vec<CreateRequest> {
        let inside = self.inside();
        let requests = inside.requests.iter();
        requests
            .filter(|request| request.service == service)
            .cloned()
            .collect()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at an instance, or changes it.
    fn with<T>(&self, id: &InstanceId, look: impl FnOnce(&mut Instance) -> T) -> Result<T> {
        let mut inside = self.inside();
        let instance = inside.instances.get_mut(id);
        let instance = instance.ok_or_else(|| {
            CleanroomError::container_error(format!("there is no instance `{id}`"))
        })?;
        let seen = look(instance);
        drop(inside);
        self.changed.send_replace(());
        Ok(seen)
    }

    /// The service of an instance; empty where there is no such instance.
    fn service(&self, id: &InstanceId) -> String {
        let service = self.with(id, |instance| instance.request.service.clone());
        service.unwrap_or_default()
    }
}

impl Inside {
    fn lines(&self, of: impl Fn(&Label) -> bool) -> Vec<String> {
        let instances = self.instances.iter();
        let instances = instances.filter(|(_, instance)| of(&instance.request.label));
        let instances = instances.map(|(id, instance)| instance.describe(id.as_str()));
        let networks = self.networks.iter().filter(|(_, label)| of(label));
        let networks = networks.map(|(id, _)| format!("network `{}`", id.0));
        instances.chain(networks).collect()
    }
}
