//! Plans as tests write them: a few words for each service and lease.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::backend::{BackendKind, Source};
use crate::plan::{
    Declared, LeaseMode, PlannedInstance, PlannedLease, PlannedNeed, ServiceDescription,
};
use crate::service::{InstanceKey, Port, ServiceId, Spec, Template, Var, Wait};

/// A service of a plan.
#[derive(Debug, Clone)]
pub(super) struct Sketch(pub(super) PlannedInstance);

pub(super) fn key(name: &str) -> InstanceKey {
    InstanceKey::of([name])
}

/// A program with one port and an export `url`, ready as soon as it runs.
pub(super) fn service(name: &str) -> Sketch {
    let id = ServiceId::new(name);
    let mut spec = Spec::default();
    spec.ports.insert("main".to_owned(), Port::tcp(5432));
    spec.vars.insert("database".to_owned(), Var::plain("main"));
    let url = template("{name}://{host}:{port}/{database}");
    spec.exports.insert("url".to_owned(), url);
    let description = ServiceDescription {
        id: id.clone(),
        name: name.to_owned(),
        location: "it.rs:1".to_owned(),
        service_type: "fake".to_owned(),
        version: "1.0.0".to_owned(),
        scope: None,
        optional: false,
        needs: Vec::new(),
        fingerprint: name.to_owned(),
        inputs: Vec::new(),
        spec: Some(spec),
        isolation: BTreeMap::new(),
        error: None,
    };
    Sketch(PlannedInstance {
        key: key(name),
        name: name.to_owned(),
        services: vec![Declared {
            binary: "it".to_owned(),
            id,
        }],
        description,
        backend: BackendKind::Fake,
        reason: "a test says so".to_owned(),
        source: Some(Source::Program {
            path: PathBuf::from(format!("/fake/{name}")),
            version: None,
        }),
        url: None,
        error: None,
        needs: Vec::new(),
        run_slice: false,
        networked: false,
        users: 1,
    })
}

/// A service whose `start` and `stop` are written by hand.
pub(super) fn by_hand(name: &str) -> Sketch {
    let mut sketch = service(name);
    sketch.0.backend = BackendKind::Plugin;
    sketch.0.source = None;
    sketch.0.description.spec = None;
    sketch
}

/// Somebody else's server.
pub(super) fn external(name: &str) -> Sketch {
    let mut sketch = service(name);
    sketch.0.backend = BackendKind::External;
    sketch.0.source = None;
    sketch.0.url = Some("fake://db.test:1234".to_owned());
    sketch
}

impl Sketch {
    /// Needs services, each in the field of its name, with a variable for its URL.
    pub(super) fn needs(mut self, names: &[&str]) -> Self {
        for name in names {
            self = self.need(name, false);
        }
        self
    }

    pub(super) fn needs_if_there(self, name: &str) -> Self {
        self.need(name, true)
    }

    fn need(mut self, name: &str, optional: bool) -> Self {
        self.0.needs.push(PlannedNeed {
            field: name.to_owned(),
            key: key(name),
            optional,
        });
        let variable = format!("{}_URL", name.to_uppercase());
        let url = template(&format!("{{{name}.url}}"));
        self.spec(|spec| {
            spec.env.insert(variable, url);
        })
    }

    pub(super) fn spec(mut self, change: impl FnOnce(&mut Spec)) -> Self {
        if let Some(spec) = &mut self.0.description.spec {
            change(spec);
        }
        self
    }

    pub(super) fn attempts(self, attempts: u32) -> Self {
        self.spec(|spec| spec.start_attempts = attempts)
    }

    pub(super) fn asks_plugin(self) -> Self {
        self.spec(|spec| spec.wait = Wait::Plugin)
    }

    pub(super) fn migrates(self) -> Self {
        self.spec(|spec| spec.migrate = true)
    }

    pub(super) fn sliced_by_the_run(mut self) -> Self {
        self.0.run_slice = true;
        self
    }

    pub(super) fn networked(mut self) -> Self {
        self.0.networked = true;
        self
    }
}

pub(super) fn template(text: &str) -> Template {
    text.parse().unwrap()
}

pub(super) fn own(name: &str) -> PlannedLease {
    lease(name, LeaseMode::Own)
}

pub(super) fn slice(name: &str) -> PlannedLease {
    lease(name, LeaseMode::Slice)
}

pub(super) fn shared(name: &str) -> PlannedLease {
    lease(name, LeaseMode::Shared)
}

/// A lease that a dependency asks for, and not the signature.
pub(super) fn implied(lease: PlannedLease) -> PlannedLease {
    PlannedLease {
        named: false,
        ..lease
    }
}

/// A lease that the test goes on without.
pub(super) fn optional(lease: PlannedLease) -> PlannedLease {
    PlannedLease {
        optional: true,
        ..lease
    }
}

fn lease(name: &str, mode: LeaseMode) -> PlannedLease {
    PlannedLease {
        service: ServiceId::new(name),
        name: name.to_owned(),
        key: key(name),
        mode,
        reason: "a test says so".to_owned(),
        named: true,
        optional: false,
    }
}
