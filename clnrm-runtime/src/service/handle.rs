//! What a test holds of a running service: data, never a connection.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{InstanceId, InstanceKey};
use super::slice::Slice;
use super::spec::{MAIN_PORT, Spec, Var};
use super::template::Template;
use crate::backend::BackendKind;
use crate::error::{CleanroomError, Result};
use crate::plugin::External;

/// Where a service answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// A host name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Who reads an address: it differs from inside a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// A process of this machine: a test, or a service of the `process` backend.
    Process,
    /// A container of the same network.
    Container,
}

/// A running service, or the slice of one that a test owns.
///
/// A handle is data: it can be cloned, sent to another process, and outlives
/// the service without harm. What it does (`restart`, `logs`, …) goes through
/// the session of the test that holds it.
#[derive(Clone, Serialize, Deserialize)]
pub struct ServiceHandle {
    /// The name of the service, for example `orders-db`.
    pub service_name: String,
    /// Everything below as text, by the names of the plugin: `container_id`,
    /// `host`, `port`, `url`, `username`, … Secrets are in it: do not print it.
    pub metadata: BTreeMap<String, String>,
    pub(crate) core: Core,
}

/// The typed core of a handle.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Core {
    pub(crate) key: InstanceKey,
    pub(crate) instance: InstanceId,
    pub(crate) backend: BackendKind,
    pub(crate) endpoints: BTreeMap<String, Endpoint>,
    /// As containers of the same network see them.
    pub(crate) inner: BTreeMap<String, Endpoint>,
    pub(crate) vars: BTreeMap<String, Var>,
    pub(crate) exports: BTreeMap<String, Template>,
    pub(crate) slice: Option<Slice>,
    /// What an optional service that did not start left its dependants without.
    pub(crate) degraded: Option<String>,
}

impl ServiceHandle {
    pub(crate) fn new(service_name: String, core: Core) -> Self {
        let mut handle = Self {
            service_name,
            metadata: BTreeMap::new(),
            core,
        };
        handle.metadata = handle.describe();
        handle
    }

    /// The handle of somebody else's server, which runs as `spec` would: its
    /// ports, variables and exports, where they differ as `external` says.
    /// Nothing starts or stops it.
    #[must_use]
    pub fn external(service_name: impl Into<String>, spec: &Spec, external: External) -> Self {
        let service_name = service_name.into();
        let endpoint = Endpoint {
            host: external.host,
            port: external.port,
        };
        let port = spec.main_port().map_or(MAIN_PORT, |(name, _)| name);
        let endpoints = BTreeMap::from([(port.to_owned(), endpoint.clone())]);
        let mut vars = spec.vars.clone();
        vars.extend(external.vars);
        let core = Core {
            key: InstanceKey::of(["external", &service_name, &endpoint.to_string()]),
            instance: InstanceId::new(endpoint.to_string()),
            backend: BackendKind::External,
            inner: endpoints.clone(),
            endpoints,
            vars,
            exports: spec.exports.clone(),
            slice: None,
            degraded: None,
        };
        Self::new(service_name, core)
    }

    /// The name of the service.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.service_name
    }

    /// The backend that runs it.
    #[must_use]
    pub fn backend(&self) -> BackendKind {
        self.core.backend
    }

    /// What the run shares it by.
    #[must_use]
    pub fn key(&self) -> &InstanceKey {
        &self.core.key
    }

    /// The running copy: a container's id, or a process instance's name.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.core.instance
    }

    /// The container's id, when it is one.
    #[must_use]
    pub fn container_id(&self) -> Option<&str> {
        (self.core.backend == BackendKind::Docker).then(|| self.core.instance.as_str())
    }

    /// The slice, when this is one of a shared instance.
    #[must_use]
    pub fn slice(&self) -> Option<&Slice> {
        self.core.slice.as_ref()
    }

    /// What this service runs without, when an optional dependency did not start.
    #[must_use]
    pub fn degraded(&self) -> Option<&str> {
        self.core.degraded.as_deref()
    }

    /// The ports by name, as this process reaches them.
    #[must_use]
    pub fn endpoints(&self) -> &BTreeMap<String, Endpoint> {
        &self.core.endpoints
    }

    /// Where the port called `name` answers.
    ///
    /// # Errors
    /// When the service has no such port; the message lists those it has.
    pub fn endpoint(&self, name: &str) -> Result<&Endpoint> {
        self.core.endpoints.get(name).ok_or_else(|| {
            let known = self
                .core
                .endpoints
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("`, `");
            CleanroomError::validation_error(format!(
                "service `{}` has no port `{name}`",
                self.service_name
            ))
            .with_hint(format!("its ports are `{known}`"))
        })
    }

    /// Where the service answers: the port `main`, else the first by name.
    ///
    /// # Errors
    /// When the service has no port at all.
    pub fn main_endpoint(&self) -> Result<&Endpoint> {
        main_of(&self.core.endpoints).ok_or_else(|| self.has_no_port())
    }

    /// The host of [`Self::main_endpoint`].
    ///
    /// # Errors
    /// When the service has no port.
    pub fn host(&self) -> Result<&str> {
        Ok(&self.main_endpoint()?.host)
    }

    /// The port of [`Self::main_endpoint`].
    ///
    /// # Errors
    /// When the service has no port.
    pub fn port(&self) -> Result<u16> {
        Ok(self.main_endpoint()?.port)
    }

    /// The export `url`, as this process reads it.
    ///
    /// # Errors
    /// When the service exports no `url`.
    pub fn url(&self) -> Result<String> {
        self.export("url", Reader::Process)
    }

    /// A variable of the service: `username`, `password`, `database`, …
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        let sliced = self
            .core
            .slice
            .as_ref()
            .and_then(|slice| slice.vars.get(name));
        sliced
            .or_else(|| self.core.vars.get(name))
            .map(|var| var.value.as_str())
    }

    /// What the service exports as `name`, as `reader` has to write it.
    ///
    /// # Errors
    /// When there is no such export, or it names what the service does not have.
    pub fn export(&self, name: &str, reader: Reader) -> Result<String> {
        let template = self.core.exports.get(name).ok_or_else(|| {
            let known = self
                .core
                .exports
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("`, `");
            CleanroomError::validation_error(format!(
                "service `{}` exports no `{name}`",
                self.service_name
            ))
            .with_hint(match known.as_str() {
                "" => "it exports nothing, as it has no port: give it one".to_owned(),
                known => format!("its exports are `{known}`"),
            })
        })?;
        template
            .render(|hole| self.lookup(hole, reader))
            .map_err(|error| {
                CleanroomError::validation_error(format!("cannot render export `{name}`"))
                    .with_context("service", &self.service_name)
                    .with_source(error)
            })
    }

    /// What a template of this service may name, besides what its start adds.
    pub(crate) fn lookup(&self, hole: &str, reader: Reader) -> Option<String> {
        let endpoints = match reader {
            Reader::Process => &self.core.endpoints,
            Reader::Container => &self.core.inner,
        };
        match hole.split_once('.') {
            None if hole == "name" => Some(self.service_name.clone()),
            None if hole == "host" => main_of(endpoints).map(|endpoint| endpoint.host.clone()),
            None if hole == "port" => main_of(endpoints).map(|endpoint| endpoint.port.to_string()),
            Some(("port", name)) => endpoints
                .get(name)
                .map(|endpoint| endpoint.port.to_string()),
            Some(("host", name)) => endpoints.get(name).map(|endpoint| endpoint.host.clone()),
            _ => self.var(hole).map(str::to_owned),
        }
    }

    /// The same instance as `slice` of it.
    pub(crate) fn sliced(&self, slice: Slice) -> Self {
        let core = Core {
            slice: Some(slice),
            ..self.core.clone()
        };
        Self::new(self.service_name.clone(), core)
    }

    fn describe(&self) -> BTreeMap<String, String> {
        let core = &self.core;
        let mut fields = BTreeMap::new();
        fields.extend(
            core.vars
                .iter()
                .map(|(name, var)| (name.clone(), var.value.clone())),
        );
        fields.extend(
            core.slice
                .iter()
                .flat_map(|slice| &slice.vars)
                .map(|(name, var)| (name.clone(), var.value.clone())),
        );
        fields.extend(
            core.endpoints
                .iter()
                .map(|(name, endpoint)| (format!("port.{name}"), endpoint.port.to_string())),
        );
        if let Some(endpoint) = main_of(&core.endpoints) {
            fields.insert("host".to_owned(), endpoint.host.clone());
            fields.insert("port".to_owned(), endpoint.port.to_string());
        }
        for name in core.exports.keys() {
            if let Ok(value) = self.export(name, Reader::Process) {
                fields.insert(name.clone(), value);
            }
        }
        if let Some(id) = self.container_id() {
            fields.insert("container_id".to_owned(), id.to_owned());
        }
        fields.insert("backend".to_owned(), core.backend.to_string());
        fields.insert("instance".to_owned(), core.instance.to_string());
        fields
    }

    fn has_no_port(&self) -> CleanroomError {
        CleanroomError::validation_error(format!("service `{}` has no port", self.service_name))
            .with_hint("declare one: `port = 8080`")
    }
}

/// `Debug` leaves out metadata, variables and exports: they hold secrets.
impl fmt::Debug for ServiceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceHandle")
            .field("service_name", &self.service_name)
            .field("backend", &self.core.backend)
            .field("instance", &self.core.instance.as_str())
            .field("endpoints", &self.core.endpoints)
            .field(
                "slice",
                &self.core.slice.as_ref().map(|slice| &slice.id.name),
            )
            .finish_non_exhaustive()
    }
}

fn main_of(endpoints: &BTreeMap<String, Endpoint>) -> Option<&Endpoint> {
    endpoints
        .get(MAIN_PORT)
        .or_else(|| endpoints.values().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_handle_reads_like_any_other() {
        let mut spec = Spec::default();
        spec.vars
            .insert("database".to_owned(), Var::plain("default"));
        let url = "x://{user}@{host}:{port}/{database}".parse().unwrap();
        spec.exports.insert("url".to_owned(), url);
        let external = External {
            host: "db.test".to_owned(),
            port: 1234,
            vars: [("user".to_owned(), Var::plain("me"))].into(),
        };
        let handle = ServiceHandle::external("db", &spec, external);
        assert_eq!(handle.url().unwrap(), "x://me@db.test:1234/default");
        assert_eq!(handle.backend(), BackendKind::External);
        assert_eq!(handle.metadata["port"], "1234");
    }
}
