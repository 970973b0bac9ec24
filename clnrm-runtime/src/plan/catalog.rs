//! The declarations of every binary, with the key of each.

use std::collections::{BTreeMap, BTreeSet};

use super::{ServiceDescription, TestRequest, error};
use crate::error::{CleanroomError, Result};
use crate::service::{InstanceKey, Scope, ServiceId};

/// What the binaries of a run declare.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    binaries: BTreeMap<String, Binary>,
}

#[derive(Debug, Clone, Default)]
struct Binary {
    services: BTreeMap<ServiceId, ServiceDescription>,
    /// What makes every test of the binary fail.
    error: Option<CleanroomError>,
}

impl Catalog {
    /// Adds what a binary describes. Names must be unique in it.
    pub fn add(&mut self, binary: &str, services: Vec<ServiceDescription>) {
        let error = error::unique_names(&services, binary).err();
        let services = services
            .into_iter()
            .map(|service| (service.id.clone(), service))
            .collect();
        self.binaries
            .insert(binary.to_owned(), Binary { services, error });
    }

    /// Says that a binary cannot be described; its tests fail with `error`.
    pub fn add_error(&mut self, binary: &str, error: CleanroomError) {
        self.binaries.insert(
            binary.to_owned(),
            Binary {
                services: BTreeMap::new(),
                error: Some(error),
            },
        );
    }

    /// Every description, with its binary.
    pub fn services(&self) -> impl Iterator<Item = (&str, &ServiceDescription)> {
        self.binaries.iter().flat_map(|(name, binary)| {
            binary
                .services
                .values()
                .map(move |service| (name.as_str(), service))
        })
    }

    /// The declaration of `id` in `binary`.
    ///
    /// # Errors
    /// When the binary has none; `name` is what the message calls it.
    pub fn service(&self, binary: &str, id: &ServiceId, name: &str) -> Result<&ServiceDescription> {
        let found = self.binaries.get(binary);
        if let Some(error) = found.and_then(|binary| binary.error.clone()) {
            return Err(error);
        }
        let service = found
            .and_then(|binary| binary.services.get(id))
            .ok_or_else(|| error::unknown(name, id, binary))?;
        match &service.error {
            Some(error) => Err(error.clone()),
            None => Ok(service),
        }
    }

    /// The services that `tests` need, dependencies included; what cannot be
    /// resolved is left to the plan to explain.
    #[must_use]
    pub fn needed_by<'a>(&'a self, tests: &'a [TestRequest]) -> Vec<&'a ServiceDescription> {
        let mut needed = BTreeMap::new();
        for request in tests {
            let needs = request
                .descriptor
                .needs
                .iter()
                .chain(&request.descriptor.shared);
            let roots = needs.map(|need| (&need.id, need.name.as_str()));
            for (key, service) in self
                .closure(&request.test.binary, roots)
                .unwrap_or_default()
            {
                needed.insert(key, service);
            }
        }
        needed.into_values().collect()
    }

    /// Whether a binary has been described.
    #[must_use]
    pub fn has(&self, binary: &str) -> bool {
        self.binaries.contains_key(binary)
    }

    /// `roots` and all that they need in `binary`, dependencies first, with keys.
    ///
    /// # Errors
    /// When a declaration is missing, is wrong, or needs itself.
    pub fn closure<'a>(
        &'a self,
        binary: &str,
        roots: impl IntoIterator<Item = (&'a ServiceId, &'a str)>,
    ) -> Result<Vec<(InstanceKey, &'a ServiceDescription)>> {
        let mut walk = Walk {
            catalog: self,
            binary,
            done: BTreeMap::new(),
            order: Vec::new(),
            path: Vec::new(),
        };
        for (id, name) in roots {
            walk.visit(id, name)?;
        }
        Ok(walk.order)
    }
}

struct Walk<'a, 'b> {
    catalog: &'a Catalog,
    binary: &'b str,
    done: BTreeMap<ServiceId, InstanceKey>,
    order: Vec<(InstanceKey, &'a ServiceDescription)>,
    path: Vec<(ServiceId, String)>,
}

impl<'a> Walk<'a, '_> {
    fn visit(&mut self, id: &ServiceId, name: &str) -> Result<InstanceKey> {
        if let Some(key) = self.done.get(id) {
            return Ok(key.clone());
        }
        let service = self.catalog.service(self.binary, id, name)?;
        if let Some(start) = self.path.iter().position(|(visited, _)| visited == id) {
            let circle = self.path.iter().skip(start).map(|(_, name)| name.clone());
            return Err(error::cycle(
                &circle.chain([service.name.clone()]).collect::<Vec<_>>(),
            ));
        }
        self.path.push((id.clone(), service.name.clone()));
        let mut fields = BTreeSet::new();
        for need in &service.needs {
            let key = self.visit(&need.id, &need.field)?;
            fields.insert(format!("{}={key}{}", need.field, mark(need.optional)));
        }
        self.path.pop();
        // Declarations of other names stay apart, however equal: a test that names two wants
        // two, and `CLNRM_<NAME>_URL` means one. In a binary each has a name of its own.
        let scope = service.scope.map(|scope| match scope {
            Scope::Run => "run",
            Scope::Test => "test",
        });
        let said = [
            service.name.as_str(),
            &service.service_type,
            &service.version,
            &service.fingerprint,
            scope.unwrap_or_default(),
            mark(service.optional),
        ];
        let key = InstanceKey::of(said.into_iter().chain(fields.iter().map(String::as_str)));
        self.done.insert(id.clone(), key.clone());
        self.order.push((key.clone(), service));
        Ok(key)
    }
}

const fn mark(optional: bool) -> &'static str {
    match optional {
        true => "?",
        false => "",
    }
}
