//! How much of each instance a test gets, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{TestRequest, touched};
use super::{LeaseMode, PlannedInstance, PlannedLease, error};
use crate::error::{CleanroomError, Result};
use crate::service::{InstanceKey, Isolation, Scope};

type Instances = BTreeMap<InstanceKey, PlannedInstance>;

/// The leases of one test, dependencies first.
pub(super) fn leases(
    request: &TestRequest,
    keys: &BTreeMap<String, InstanceKey>,
    instances: &Instances,
    failed: &BTreeMap<InstanceKey, CleanroomError>,
) -> Result<Vec<PlannedLease>> {
    let key_of = |id: &str| keys.get(id).cloned();
    let shared = request
        .descriptor
        .shared
        .iter()
        .filter_map(|need| key_of(need.id.as_str()))
        .collect();
    let mut walk = Walk {
        request,
        instances,
        failed,
        shared,
        leases: Vec::new(),
        of_run: BTreeMap::new(),
    };
    for need in &request.descriptor.needs {
        if let Some(key) = key_of(need.id.as_str()) {
            walk.visit(&key, need.optional, true)?;
        }
    }
    walk.check()?;
    Ok(walk.leases)
}

struct Walk<'a> {
    request: &'a TestRequest,
    instances: &'a Instances,
    failed: &'a BTreeMap<InstanceKey, CleanroomError>,
    shared: BTreeSet<InstanceKey>,
    leases: Vec<PlannedLease>,
    /// What the run owns on behalf of this test, and for which dependant.
    of_run: BTreeMap<InstanceKey, String>,
}

impl Walk<'_> {
    fn visit(&mut self, key: &InstanceKey, optional: bool, named: bool) -> Result<()> {
        if let Some(lease) = self.leases.iter_mut().find(|lease| lease.key == *key) {
            lease.named |= named;
            lease.optional &= optional;
            return Ok(());
        }
        let Some(instance) = self.instances.get(key) else {
            return Ok(());
        };
        let optional = optional || instance.description.optional;
        if let Some(error) = self.failed.get(key) {
            // An optional service degrades; the engine tells the test.
            if !optional {
                return Err(error.clone());
            }
        }
        let (mode, reason) = self.mode(key, instance);
        if mode == LeaseMode::Own {
            for need in &instance.needs {
                self.visit(&need.key, need.optional, false)?;
            }
        } else {
            let below = instance.needs.iter().map(|need| &need.key);
            for key in touched(below, self.instances) {
                if let Some(error) = self.failed.get(&key)
                    && !optional
                {
                    return Err(error.clone());
                }
                self.of_run
                    .entry(key)
                    .or_insert_with(|| instance.name.clone());
            }
        }
        let binary = &self.request.test.binary;
        let declared = instance
            .services
            .iter()
            .find(|declared| declared.binary == *binary);
        let service = declared
            .map_or(&instance.description.id, |declared| &declared.id)
            .clone();
        let name = instance.name.clone();
        self.leases.push(PlannedLease {
            service,
            name,
            key: key.clone(),
            mode,
            reason,
            named,
            optional,
        });
        Ok(())
    }

    fn mode(&self, key: &InstanceKey, instance: &PlannedInstance) -> (LeaseMode, String) {
        let description = &instance.description;
        let isolation = description.isolation.get(&instance.backend);
        let (mode, reason) = if self.request.descriptor.fresh {
            (LeaseMode::Own, "the test is `fresh`".to_owned())
        } else if self.shared.contains(key) {
            (LeaseMode::Shared, "the test says `shared`".to_owned())
        } else if description.scope == Some(Scope::Run) {
            (LeaseMode::Shared, "its scope is `run`".to_owned())
        } else if description.scope == Some(Scope::Test) {
            (LeaseMode::Own, "its scope is `test`".to_owned())
        } else if isolation == Some(&Isolation::Slice) {
            (
                LeaseMode::Slice,
                format!(
                    "`{}` can slice on {}",
                    description.service_type, instance.backend
                ),
            )
        } else {
            (
                LeaseMode::Own,
                format!(
                    "`{}` cannot slice on {}",
                    description.service_type, instance.backend
                ),
            )
        };
        (mode, reason)
    }

    /// Isolation and sameness exclude each other.
    fn check(&self) -> Result<()> {
        for lease in &self.leases {
            if lease.mode != LeaseMode::Shared
                && let Some(dependant) = self.of_run.get(&lease.key)
            {
                return Err(error::isolation_or_sameness(
                    &lease.name,
                    dependant,
                    &self.request.test,
                ));
            }
        }
        for key in &self.shared {
            if !self.leases.iter().any(|lease| lease.key == *key) {
                let name = self
                    .instances
                    .get(key)
                    .map_or_else(|| key.to_string(), |instance| instance.name.clone());
                return Err(error::shares_nothing(&name, &self.request.test));
            }
        }
        Ok(())
    }
}
