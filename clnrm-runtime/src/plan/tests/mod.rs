//! Plans of a world that a test describes in a few words.

mod assign;
mod lease;
mod share;

use std::collections::BTreeMap;

use super::*;
use crate::declare::{Need, TestDescriptor};
use crate::service::{
    ContainerSpec, Isolation, NamedProgram, Port, ProcessSpec, Program, Scope, Spec,
};

const BINARY: &str = "shop::it";

/// A world to plan in, built line by line.
struct World {
    services: Vec<ServiceDescription>,
    tests: Vec<TestRequest>,
    probe: Probe,
    preference: Preference,
}

impl World {
    fn new() -> Self {
        let engine = EngineProbe::Answers {
            version: "docker 20.10".to_owned(),
            local: true,
        };
        let probe = Probe {
            engine,
            ..Probe::default()
        };
        Self {
            services: Vec::new(),
            tests: Vec::new(),
            probe,
            preference: Preference::Auto,
        }
    }

    /// A service that can be a container and a process, and slices on docker.
    fn service(mut self, name: &str, needs: &[&str]) -> Self {
        let mut spec = Spec::default();
        spec.container = Some(ContainerSpec::new(format!("{name}:1").parse().unwrap()));
        spec.process = Some(ProcessSpec::new(named(name)));
        spec.ports.insert("main".to_owned(), Port::tcp(1));
        self.services.push(ServiceDescription {
            id: id(name),
            name: name.to_owned(),
            location: format!("tests/it.rs:{}", self.services.len() + 1),
            service_type: name.to_owned(),
            version: "1.0.0".to_owned(),
            scope: None,
            optional: false,
            needs: needs
                .iter()
                .map(|field| NeedDescription {
                    field: (*field).to_owned(),
                    id: id(field),
                    optional: false,
                })
                .collect(),
            fingerprint: name.to_owned(),
            inputs: Vec::new(),
            spec: Some(spec),
            isolation: BTreeMap::from([(BackendKind::Docker, Isolation::Slice)]),
            error: None,
        });
        self
    }

    fn with(mut self, name: &str, change: impl FnOnce(&mut ServiceDescription)) -> Self {
        change(
            self.services
                .iter_mut()
                .find(|service| service.name == name)
                .unwrap(),
        );
        self
    }

    fn bin(self, name: &str) -> Self {
        let program = Program::Bin {
            package: "shop".to_owned(),
            name: name.to_owned(),
            path: None,
        };
        self.with(name, |service| {
            service.spec = Some(Spec {
                process: Some(ProcessSpec::new(program)),
                ..Spec::default()
            });
            service.isolation.clear();
        })
        .program(&format!("bin:shop/{name}"))
    }

    fn test(mut self, name: &str, needs: &[&str]) -> Self {
        let need = |name: &&str| Need {
            id: id(name),
            name: (*name).to_owned(),
            optional: false,
        };
        let descriptor = TestDescriptor {
            v: 1,
            path: format!("it::{name}"),
            file: "tests/it.rs".to_owned(),
            line: 1,
            timeout_ms: 0,
            fresh: false,
            ignored: false,
            shared: Vec::new(),
            needs: needs.iter().map(need).collect(),
        };
        let test = TestId {
            binary: BINARY.to_owned(),
            name: name.to_owned(),
        };
        self.tests.push(TestRequest { test, descriptor });
        self
    }

    fn last_test(mut self, change: impl FnOnce(&mut TestDescriptor)) -> Self {
        change(&mut self.tests.last_mut().unwrap().descriptor);
        self
    }

    fn image(mut self, name: &str) -> Self {
        let image = format!("{name}:1");
        self.probe.images.insert(
            image.clone(),
            ImageProbe::Present {
                name: image,
                pulled: None,
            },
        );
        self
    }

    fn no_image(mut self, name: &str) -> Self {
        let image = format!("{name}:1");
        let reason = "no such host".to_owned();
        self.probe.images.insert(
            image.clone(),
            ImageProbe::Missing {
                name: image,
                reason,
            },
        );
        self
    }

    fn program(mut self, key: &str) -> Self {
        let found = ProgramProbe::Found {
            path: "/usr/bin/x".into(),
            version: Some("1.2".to_owned()),
            how: "PATH".to_owned(),
            note: None,
        };
        self.probe.programs.insert(key.to_owned(), found);
        self
    }

    fn installed(self, name: &str) -> Self {
        let key = program_key(&named(name));
        self.program(&key)
    }

    fn not_installed(mut self, name: &str) -> Self {
        let missing = ProgramProbe::Missing {
            tried: vec!["PATH".to_owned(), "the cache".to_owned()],
            hint: format!("run `cargo clnrm fetch {name}`"),
        };
        self.probe
            .programs
            .insert(program_key(&named(name)), missing);
        self
    }

    fn plan(&self) -> Plan {
        let mut catalog = Catalog::default();
        catalog.add(BINARY, self.services.clone());
        let (probe, preference) = (&self.probe, self.preference);
        plan(&PlanInput {
            tests: &self.tests,
            catalog: &catalog,
            probe,
            preference,
        })
    }

    /// `name mode@backend` of every lease of the first test, in order.
    #[track_caller]
    fn leases(&self) -> Vec<String> {
        let plan = self.plan();
        let test = &plan.tests[0];
        if let Some(error) = &test.error {
            panic!("{error}");
        }
        let leases = test.leases.iter();
        leases
            .map(|lease| {
                format!(
                    "{} {}@{}",
                    lease.name, lease.mode, plan.instances[&lease.key].backend
                )
            })
            .collect()
    }

    fn error(&self) -> String {
        self.plan().tests[0]
            .error
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}

fn id(name: &str) -> ServiceId {
    ServiceId::new(format!("shop/it/it::{name}"))
}

fn named(name: &str) -> Program {
    NamedProgram::new(name).into()
}

/// An API of the workspace over a database and a cache.
fn shop() -> World {
    let world = World::new()
        .service("db", &[])
        .service("cache", &[])
        .service("api", &["db", "cache"])
        .bin("api");
    world.test("t", &["api", "db"])
}
