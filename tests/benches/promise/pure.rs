//! What needs no service: the registration of plugins, and the plan.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clnrm::service::{Isolation, ServiceId, TestId};
use clnrm_runtime::ServicePlugin;
use clnrm_runtime::backend::BackendKind;
use clnrm_runtime::declare::{Need, TestDescriptor};
use clnrm_runtime::plan::{
    Catalog, NeedDescription, PlanInput, Preference, Probe, ServiceDescription, TestRequest, plan,
};
use clnrm_runtime::plugin::{Location, PluginRegistration};
use clnrm_runtime::program::cargo;
use clnrm_runtime::registry::{PluginRegistry, ServiceFactory};
use clnrm_tests::workspace_root;

use crate::table::{Figure, Table, timed};

const PLUGINS: usize = 1_000;
const SERVICES: usize = 50;
const TESTS: usize = 1_000;

pub(crate) fn run(table: &Table) {
    let figure = |name, promise| Figure {
        name,
        on: "-",
        promise,
    };
    let promise = Some(Duration::from_millis(1));
    let all = registrations();
    table.measure(figure("registration: 1,000 plugins", promise), 200, || {
        let (time, registry) = timed(|| {
            let mut registry = PluginRegistry::new();
            for plugin in &all {
                registry.register(plugin).expect("no two are the same");
            }
            registry
        });
        assert_eq!(registry.iter().count(), PLUGINS);
        time
    });
    table.measure(
        figure("registration: 1,000 in a factory", promise),
        200,
        || {
            let (time, factory) = timed(|| {
                let mut factory = ServiceFactory::new();
                for plugin in &all {
                    let construct = Box::new(plugin.construct);
                    let registered = factory.register(plugin.service_type, construct);
                    registered.expect("no two are the same");
                }
                factory
            });
            assert_eq!(factory.types().count(), PLUGINS);
            time
        },
    );
    let (tests, catalog, probe) = (requests(), catalog(), Probe::default());
    table.measure(figure("plan: 1,000 tests, 50 services", None), 50, || {
        let (time, planned) = timed(|| {
            plan(&PlanInput {
                tests: &tests,
                catalog: &catalog,
                probe: &probe,
                preference: Preference::Process,
            })
        });
        assert_eq!(planned.instances.len(), SERVICES);
        assert!(planned.tests.iter().all(|test| test.error.is_none()));
        time
    });
    warm_command(
        table,
        figure("plan: `cargo clnrm plan -p shop`, warm", None),
    );
}

/// The whole command, with everything built and every description cached.
fn warm_command(table: &Table, figure: Figure<'_>) {
    if !table.wants(figure.name) {
        return;
    }
    let plan = || {
        // What cargo says of our own package would make it build anew, again and again.
        let mut command = cargo();
        let command = command
            .args(["clnrm", "plan", "-p", "shop"])
            .current_dir(workspace_root());
        timed(|| command.output())
    };
    match plan() {
        (_, Ok(first)) if first.status.success() => table.measure(figure, 10, || plan().0),
        (_, Ok(first)) => {
            let text = String::from_utf8_lossy(&first.stderr).into_owned();
            table.none(figure.name, figure.on, text.trim());
        }
        (_, Err(error)) => table.none(figure.name, figure.on, &error.to_string()),
    }
}

fn registrations() -> Vec<&'static PluginRegistration> {
    let all = (0..PLUGINS).map(|number| {
        let registration = PluginRegistration {
            service_type: format!("type-{number}").leak(),
            version: "1.2.3",
            description: "",
            location: Location { file: "", line: 1 },
            construct: |_| {
                let plugin: Arc<dyn ServicePlugin> = Arc::new(clnrm::redis::plugin());
                Ok(plugin)
            },
        };
        &*Box::leak(Box::new(registration))
    });
    all.collect()
}

fn id(number: usize) -> ServiceId {
    ServiceId::new(format!("bench/{number}"))
}

/// Services in rows of five, each of which needs the one before it.
fn catalog() -> Catalog {
    let services = (0..SERVICES).map(|number| ServiceDescription {
        id: id(number),
        name: format!("service-{number}"),
        location: String::new(),
        service_type: "bench".to_owned(),
        version: "1.0.0".to_owned(),
        scope: None,
        optional: false,
        needs: if number % 5 == 0 {
            Vec::new()
        } else {
            vec![NeedDescription {
                field: "before".to_owned(),
                id: id(number - 1),
                optional: false,
            }]
        },
        fingerprint: number.to_string(),
        inputs: Vec::new(),
        spec: None,
        isolation: BTreeMap::from([(BackendKind::Plugin, Isolation::Slice)]),
        error: None,
    });
    let mut catalog = Catalog::default();
    catalog.add("bench", services.collect());
    catalog
}

/// Tests of which each needs two services.
fn requests() -> Vec<TestRequest> {
    let need = |number: usize| Need {
        id: id(number % SERVICES),
        name: format!("service-{}", number % SERVICES),
        optional: false,
    };
    let requests = (0..TESTS).map(|number| TestRequest {
        test: TestId {
            binary: "bench".to_owned(),
            name: format!("test-{number}"),
        },
        descriptor: TestDescriptor {
            v: TestDescriptor::VERSION,
            path: format!("bench::test-{number}"),
            file: String::new(),
            line: 1,
            timeout_ms: 0,
            fresh: false,
            ignored: false,
            shared: Vec::new(),
            needs: vec![need(number), need(number + 7)],
        },
    });
    requests.collect()
}
