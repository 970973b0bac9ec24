//! The way from descriptors to a plan, step by step.

use std::collections::{BTreeMap, BTreeSet};

use super::assign::{Assignment, assign};
use super::{
    Catalog, Declared, Plan, PlannedInstance, PlannedNeed, PlannedTest, Preference, Probe,
    ServiceDescription, lease,
};
use crate::backend::BackendKind;
use crate::declare::TestDescriptor;
use crate::error::{CleanroomError, Result};
use crate::service::{InstanceKey, Isolation, Scope, TestId};

/// Everything a plan is made of.
#[derive(Debug)]
pub struct PlanInput<'a> {
    /// The tests that will run, filters applied.
    pub tests: &'a [TestRequest],
    /// What their binaries declare.
    pub catalog: &'a Catalog,
    /// What is there.
    pub probe: &'a Probe,
    /// Which backend is preferred.
    pub preference: Preference,
}

/// A test that will run.
#[derive(Debug, Clone)]
pub struct TestRequest {
    /// The test.
    pub test: TestId,
    /// What it says of itself.
    pub descriptor: TestDescriptor,
}

/// Plans a run. A test that cannot run is in the plan with its error: one
/// wrong declaration does not end the run.
#[must_use]
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let mut draft = Draft::default();
    let resolved = input
        .tests
        .iter()
        .map(|request| draft.resolve(request, input.catalog))
        .collect::<Vec<_>>();
    draft.assign(input);
    let tests = input
        .tests
        .iter()
        .zip(resolved)
        .map(|(request, keys)| draft.lease(request, keys))
        .collect();
    draft.instances.retain(|_, instance| instance.users > 0);
    Plan {
        instances: draft.instances,
        tests,
    }
}

#[derive(Default)]
struct Draft {
    instances: BTreeMap<InstanceKey, PlannedInstance>,
    failed: BTreeMap<InstanceKey, CleanroomError>,
}

impl Draft {
    /// The keys of the services that a test names, after adding their closure.
    fn resolve(
        &mut self,
        request: &TestRequest,
        catalog: &Catalog,
    ) -> Result<BTreeMap<String, InstanceKey>> {
        let binary = &request.test.binary;
        let needs = request
            .descriptor
            .needs
            .iter()
            .chain(&request.descriptor.shared);
        let closure = catalog.closure(binary, needs.map(|need| (&need.id, need.name.as_str())))?;
        let keys: BTreeMap<String, InstanceKey> = closure
            .iter()
            .map(|(key, service)| (service.id.to_string(), key.clone()))
            .collect();
        for (key, service) in closure {
            let declared = Declared {
                binary: binary.clone(),
                id: service.id.clone(),
            };
            match self.instances.get_mut(&key) {
                Some(instance) if instance.services.contains(&declared) => {}
                Some(instance) => instance.services.push(declared),
                None => {
                    let needs = needs_of(service, &keys);
                    self.instances
                        .insert(key.clone(), draft_instance(key, service, declared, needs));
                }
            }
        }
        Ok(keys)
    }

    /// Gives every instance its backend, a dependency closure at once.
    fn assign(&mut self, input: &PlanInput<'_>) {
        for component in components(&self.instances) {
            let services = component
                .iter()
                .filter_map(|key| self.instances.get(key))
                .collect::<Vec<_>>();
            let assigned = assign(&services, input.probe, input.preference);
            for (key, assignment) in assigned {
                match assignment {
                    Ok(assignment) => self.settle(&key, assignment),
                    Err(error) => {
                        if let Some(instance) = self.instances.get_mut(&key) {
                            error.message().clone_into(&mut instance.reason);
                            instance.error = Some(error.clone());
                        }
                        self.failed.insert(key, error);
                    }
                }
            }
        }
        let on_network = networked(&self.instances);
        for key in on_network {
            if let Some(instance) = self.instances.get_mut(&key) {
                instance.networked = true;
            }
        }
    }

    fn settle(&mut self, key: &InstanceKey, assignment: Assignment) {
        let Some(instance) = self.instances.get_mut(key) else {
            return;
        };
        let isolation = instance.description.isolation.get(&assignment.backend);
        instance.run_slice =
            instance.description.scope != Some(Scope::Run) && isolation == Some(&Isolation::Slice);
        instance.backend = assignment.backend;
        instance.reason = assignment.reason;
        instance.source = assignment.source;
        instance.url = assignment.url;
    }

    fn lease(
        &mut self,
        request: &TestRequest,
        keys: Result<BTreeMap<String, InstanceKey>>,
    ) -> PlannedTest {
        let planned =
            keys.and_then(|keys| lease::leases(request, &keys, &self.instances, &self.failed));
        match planned {
            Ok(leases) => {
                for key in touched(leases.iter().map(|lease| &lease.key), &self.instances) {
                    if let Some(instance) = self.instances.get_mut(&key) {
                        instance.users += 1;
                    }
                }
                PlannedTest {
                    test: request.test.clone(),
                    leases,
                    error: None,
                }
            }
            Err(error) => PlannedTest {
                test: request.test.clone(),
                leases: Vec::new(),
                error: Some(error),
            },
        }
    }
}

fn draft_instance(
    key: InstanceKey,
    service: &ServiceDescription,
    declared: Declared,
    needs: Vec<PlannedNeed>,
) -> PlannedInstance {
    PlannedInstance {
        key,
        name: service.name.clone(),
        services: vec![declared],
        description: service.clone(),
        backend: BackendKind::Plugin,
        reason: String::new(),
        source: None,
        url: None,
        error: None,
        needs,
        run_slice: false,
        networked: false,
        users: 0,
    }
}

fn needs_of(
    service: &ServiceDescription,
    keys: &BTreeMap<String, InstanceKey>,
) -> Vec<PlannedNeed> {
    let need = |need: &super::NeedDescription| {
        let key = keys.get(need.id.as_str())?.clone();
        Some(PlannedNeed {
            field: need.field.clone(),
            key,
            optional: need.optional,
        })
    };
    service.needs.iter().filter_map(need).collect()
}

/// The instances grouped by who needs whom: a closure shares one decision.
fn components(instances: &BTreeMap<InstanceKey, PlannedInstance>) -> Vec<BTreeSet<InstanceKey>> {
    let mut components: Vec<BTreeSet<InstanceKey>> = Vec::new();
    for (key, instance) in instances {
        let mut joined: BTreeSet<InstanceKey> =
            instance.needs.iter().map(|need| need.key.clone()).collect();
        joined.insert(key.clone());
        components.retain(|component| {
            let meets = !component.is_disjoint(&joined);
            if meets {
                joined.extend(component.iter().cloned());
            }
            !meets
        });
        components.push(joined);
    }
    components
}

/// `roots` and everything below them.
pub(super) fn touched<'a>(
    roots: impl IntoIterator<Item = &'a InstanceKey>,
    instances: &BTreeMap<InstanceKey, PlannedInstance>,
) -> BTreeSet<InstanceKey> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<InstanceKey> = roots.into_iter().cloned().collect();
    while let Some(key) = open.pop() {
        if let Some(instance) = instances.get(&key)
            && seen.insert(key)
        {
            open.extend(instance.needs.iter().map(|need| need.key.clone()));
        }
    }
    seen
}

/// The containers that talk to other containers, or ask for a network.
fn networked(instances: &BTreeMap<InstanceKey, PlannedInstance>) -> BTreeSet<InstanceKey> {
    let is_container = |key: &InstanceKey| {
        instances
            .get(key)
            .is_some_and(|it| it.backend == BackendKind::Docker)
    };
    let mut keys = BTreeSet::new();
    for (key, instance) in instances.iter().filter(|(key, _)| is_container(key)) {
        let container = instance
            .description
            .spec
            .as_ref()
            .and_then(|spec| spec.container.as_ref());
        let asks = container.is_some_and(|container| {
            container.network.name.is_some() || !container.network.aliases.is_empty()
        });
        let containers = instance
            .needs
            .iter()
            .map(|need| &need.key)
            .filter(|key| is_container(key));
        let containers = containers.cloned().collect::<Vec<_>>();
        if asks || !containers.is_empty() {
            keys.insert(key.clone());
        }
        keys.extend(containers);
    }
    keys
}
