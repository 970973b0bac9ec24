use std::collections::BTreeMap;

use super::*;
use crate::declare::{Need, TestDescriptor};
use crate::service::{ContainerSpec, Isolation, Port, ProcessSpec, Program, Scope, Spec};

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
    Program::Named {
        name: name.to_owned(),
        well_known: Vec::new(),
        version: None,
        require_version: false,
        provision: None,
    }
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

#[test]
fn images_that_are_local_become_containers_and_are_sliced() {
    let world = shop()
        .image("db")
        .image("cache")
        .installed("db")
        .installed("cache");
    assert_eq!(
        world.leases(),
        ["db slice@docker", "cache slice@docker", "api own@process"]
    );
}

#[test]
fn without_an_image_the_whole_closure_becomes_processes() {
    let world = shop()
        .image("db")
        .no_image("cache")
        .installed("db")
        .installed("cache");
    assert_eq!(
        world.leases(),
        ["db own@process", "cache own@process", "api own@process"]
    );
}

#[test]
fn what_has_no_way_in_common_is_mixed_as_it_can_be_had() {
    let world = shop()
        .image("db")
        .no_image("cache")
        .not_installed("db")
        .installed("cache");
    assert_eq!(
        world.leases(),
        ["db slice@docker", "cache own@process", "api own@process"]
    );
}

#[test]
fn a_container_never_depends_on_a_local_process() {
    let world = World::new()
        .service("db", &[])
        .service("ui", &["db"])
        .test("t", &["ui"]);
    let world = world
        .image("ui")
        .no_image("db")
        .installed("db")
        .installed("ui");
    assert_eq!(world.leases(), ["db own@process", "ui own@process"]);
    let world = world.not_installed("ui");
    insta::assert_snapshot!(world.error(), @r"
    container `ui` would depend on `db`, a process of this machine that it cannot reach
      hint: give `db` an `image`, or `ui` a `program`, so that both run on one backend
    ");
}

#[test]
fn what_can_run_nowhere_lists_everything_that_was_tried() {
    let world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .no_image("db")
        .not_installed("db");
    insta::assert_snapshot!(world.error(), @r"
    service `db` cannot run here
      declared at: tests/it.rs:1
      docker: image `db:1` is not local: no such host
      process: program `db` was not found
        PATH
        the cache
      hint: run `docker pull db:1`, or map `db:1` in `[images]` of clnrm.toml; or run `cargo clnrm fetch db`
    ");
}

#[test]
fn without_an_engine_the_reason_says_so() {
    let mut world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .installed("db");
    world.probe.engine = EngineProbe::Silent {
        reason: "no engine answers: no socket at `/nonexistent`".to_owned(),
    };
    let plan = world.plan();
    let reason = &plan.instances.values().next().unwrap().reason;
    assert_eq!(
        reason,
        "`/usr/bin/x` 1.2 (PATH); no container, as no engine answers: no socket at `/nonexistent`"
    );
}

#[test]
fn a_remote_engine_is_not_used() {
    let mut world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .image("db")
        .installed("db");
    world.probe.engine = EngineProbe::Answers {
        version: "docker".to_owned(),
        local: false,
    };
    assert_eq!(world.leases(), ["db own@process"]);
}

#[test]
fn asked_for_containers_nothing_with_an_image_becomes_a_process() {
    let mut world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .no_image("db")
        .installed("db");
    world.preference = Preference::Docker;
    assert!(world.error().starts_with("service `db` cannot run here"));
}

#[test]
fn a_url_makes_a_service_external_and_it_is_still_sliced() {
    let mut world = shop().image("db").image("cache");
    world
        .probe
        .urls
        .insert("db".to_owned(), "postgres://u:p@h/d".to_owned());
    let world = world.with("db", |db| {
        db.isolation.insert(BackendKind::External, Isolation::Slice);
    });
    assert_eq!(
        world.leases(),
        ["db slice@external", "cache slice@docker", "api own@process"]
    );
    let plan = serde_json::to_string(&world.plan()).unwrap();
    assert!(!plan.contains("u:p@h"), "the URL may hold a password");
}

#[test]
fn a_fresh_test_owns_its_whole_closure() {
    let world = shop()
        .image("db")
        .image("cache")
        .last_test(|test| test.fresh = true);
    assert_eq!(
        world.leases(),
        ["db own@docker", "cache own@docker", "api own@process"]
    );
}

#[test]
fn isolation_and_sameness_exclude_each_other_unless_shared() {
    let world = shop()
        .image("db")
        .image("cache")
        .with("api", |api| api.scope = Some(Scope::Run));
    insta::assert_snapshot!(world.error(), @r"
    `db` cannot be the test's own and also the one that the run's `api` uses
      test: shop::it t
      hint: write `#[clnrm::test(shared(db))]` to see the run's `db`, or give `api` the scope `test`
    ");
    let need = Need {
        id: id("db"),
        name: "db".to_owned(),
        optional: false,
    };
    let world = world.last_test(|test| test.shared = vec![need]);
    assert_eq!(world.leases(), ["api shared@process", "db shared@docker"]);
    let plan = world.plan();
    let run_slices: BTreeMap<_, _> = plan
        .instances
        .values()
        .map(|it| (it.name.as_str(), it.run_slice))
        .collect();
    assert_eq!(
        run_slices,
        BTreeMap::from([("api", false), ("cache", true), ("db", true)])
    );
}

#[test]
fn a_service_that_needs_itself_is_named_with_its_circle() {
    let world = World::new()
        .service("a", &["b"])
        .service("b", &["c"])
        .service("c", &["a"])
        .test("t", &["a"]);
    insta::assert_snapshot!(world.error(), @r"
    services need each other in a circle: `a` -> `b` -> `c` -> `a`
      hint: remove one of these fields, or make it a variable that the test sets
    ");
}

#[test]
fn an_unlinked_declaration_says_how_to_link_it() {
    let world = World::new()
        .service("db", &[])
        .test("t", &["db", "cache"])
        .image("db");
    insta::assert_snapshot!(world.error(), @r"
    service `cache` is not registered in `shop::it`
      declaration: shop/it/it::cache
      hint: a crate that no source names is not linked: add `use shop as _;` to the test's file
    ");
}

#[test]
fn two_services_of_one_name_are_refused_with_both_places() {
    let world = World::new()
        .service("db", &[])
        .service("other", &[])
        .with("other", |it| it.name = "db".to_owned());
    let world = world.test("t", &["db"]).image("db");
    insta::assert_snapshot!(world.error(), @r#"
    two services of `shop::it` are called `db`
      first: shop/it/it::db (tests/it.rs:1)
      second: shop/it/it::other (tests/it.rs:2)
      hint: give one of them a `name = "…"` of its own
    "#);
}

#[test]
fn equal_declarations_of_two_binaries_meet_in_one_instance() {
    let world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .image("db");
    let mut catalog = Catalog::default();
    catalog.add(BINARY, world.services.clone());
    catalog.add("other::it", world.services.clone());
    let mut tests = world.tests.clone();
    let mut second = tests[0].clone();
    second.test.binary = "other::it".to_owned();
    tests.push(second);
    let (probe, preference) = (&world.probe, Preference::Auto);
    let plan = plan(&PlanInput {
        tests: &tests,
        catalog: &catalog,
        probe,
        preference,
    });
    let [instance] = plan
        .instances
        .values()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!((instance.users, instance.services.len()), (2, 2));
}

#[test]
fn other_configuration_is_another_instance() {
    let key = |fingerprint: &str| {
        let world = shop()
            .image("db")
            .image("cache")
            .with("db", |db| db.fingerprint = fingerprint.to_owned());
        let plan = world.plan();
        plan.tests[0]
            .leases
            .iter()
            .map(|lease| lease.key.clone())
            .collect::<Vec<_>>()
    };
    let (one, other) = (key("a"), key("b"));
    // The cache is the same; the database differs, and with it the API that needs it.
    assert_eq!(
        one.iter()
            .zip(&other)
            .map(|(a, b)| a == b)
            .collect::<Vec<_>>(),
        [false, true, false]
    );
}

#[test]
fn what_no_test_needs_is_not_in_the_plan() {
    let world = World::new()
        .service("db", &[])
        .service("cache", &[])
        .test("t", &["db"])
        .image("db")
        .image("cache");
    let plan = world.plan();
    assert_eq!(
        plan.instances
            .values()
            .map(|it| it.name.as_str())
            .collect::<Vec<_>>(),
        ["db"]
    );
}

#[test]
fn a_wrong_declaration_fails_the_tests_that_need_it_and_no_other() {
    let world = World::new()
        .service("db", &[])
        .service("cache", &[])
        .image("db")
        .image("cache");
    let world = world.with("cache", |it| {
        it.error = Some(CleanroomError::validation_error("bad"))
    });
    let world = world.test("a", &["cache"]).test("b", &["db"]);
    let plan = world.plan();
    assert_eq!(
        plan.tests[0].error.as_ref().map(|error| error.message()),
        Some("bad")
    );
    assert!(plan.tests[1].error.is_none());
}

#[test]
fn containers_that_talk_to_containers_are_on_a_network() {
    let world = World::new()
        .service("db", &[])
        .service("ui", &["db"])
        .service("lone", &[]);
    let world = world
        .image("db")
        .image("ui")
        .image("lone")
        .test("t", &["ui", "lone"]);
    let plan = world.plan();
    let networked: BTreeMap<_, _> = plan
        .instances
        .values()
        .map(|it| (it.name.as_str(), it.networked))
        .collect();
    assert_eq!(
        networked,
        BTreeMap::from([("db", true), ("lone", false), ("ui", true)])
    );
}
