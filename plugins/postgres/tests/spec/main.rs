//! What the plugin says, without a server.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

mod mistakes;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clnrm_postgres::{Postgres, PostgresPlugin, plugin};
use clnrm_runtime::__private::held_plugin;
use clnrm_runtime::backend::BackendKind;
use clnrm_runtime::declare::{Service, ServiceDeclaration};
use clnrm_runtime::plugin::{External, PluginRegistration};
use clnrm_runtime::registry::describe;
use clnrm_runtime::service::{Isolation, Program, Spec, StopSignal, Template, Wait};
use clnrm_runtime::{ErrorKind, ServiceHandle, ServicePlugin};
use serde_json::json;

fn spec(plugin: &PostgresPlugin) -> Spec {
    plugin.spec().unwrap().unwrap()
}

fn canonical(plugin: &PostgresPlugin) -> serde_json::Value {
    ServicePlugin::config(plugin).unwrap()
}

/// The settings among the arguments, `key=value`.
fn settings(arguments: &[Template]) -> Vec<String> {
    let texts: Vec<_> = arguments
        .iter()
        .map(|text| text.render(|_| Some("?".to_owned())).unwrap())
        .collect();
    let pairs = texts.windows(2).filter(|pair| pair[0] == "-c");
    pairs.map(|pair| pair[1].clone()).collect()
}

#[test]
fn the_default_is_the_image_that_is_tested() {
    let spec = spec(&plugin());
    assert_eq!(spec.container.unwrap().image.to_string(), "postgres:15");
    assert_eq!(
        (spec.wait, spec.stop.signal, spec.migrate),
        (Wait::Plugin, StopSignal::Int, true)
    );
}

#[test]
fn a_tag_changes_image_and_preferred_version() {
    let spec = spec(&plugin().tag("16.3-alpine").require_version());
    assert_eq!(
        spec.container.unwrap().image.to_string(),
        "postgres:16.3-alpine"
    );
    let Program::Named(program) = spec.process.unwrap().program else {
        panic!("not a named program")
    };
    let version = program.version.as_deref();
    assert_eq!((version, program.require_version), (Some("16"), true));
}

#[test]
fn credentials_reach_container_and_process() {
    let spec = spec(&plugin().credentials("shop", "s3cret"));
    let container = spec.container.unwrap();
    let fill = |text: &Template| {
        text.render(|hole| Some(spec.vars[hole].value.clone()))
            .unwrap()
    };
    assert_eq!(fill(&container.env["POSTGRES_USER"]), "shop");
    assert_eq!(fill(&container.env["POSTGRES_PASSWORD"]), "s3cret");
    let seed = spec.process.unwrap().seed.unwrap();
    assert!(
        seed.args
            .iter()
            .any(|text| text.to_string() == "--username={username}")
    );
    assert!(seed.files[0].contents.starts_with("md5") && seed.files[0].mode == 0o600);
}

#[test]
fn the_password_is_neither_shown_nor_an_argument() {
    let plugin = plugin().credentials("shop", "s3cret");
    let spec = spec(&plugin);
    assert!(!format!("{plugin:?} {spec:?}").contains("s3cret"));
    let process = spec.process.unwrap();
    let arguments = [
        process.args,
        process.seed.unwrap().args,
        spec.container.unwrap().command.unwrap(),
    ];
    assert!(!format!("{arguments:?}").contains("s3cret"));
}

#[test]
fn settings_are_fast_unless_told_otherwise() {
    let spec = spec(
        &plugin()
            .config("fsync", "on")
            .config("auto_explain.log_format", "{json}"),
    );
    for arguments in [
        spec.process.unwrap().args,
        spec.container.unwrap().command.unwrap(),
    ] {
        let settings = settings(&arguments);
        for setting in [
            "fsync=on",
            "full_page_writes=off",
            "auto_explain.log_format={json}",
        ] {
            assert!(
                settings.iter().any(|other| other == setting),
                "{settings:?}"
            );
        }
        assert!(
            !settings.iter().any(|other| other == "fsync=off"),
            "{settings:?}"
        );
    }
}

#[test]
fn a_process_leaves_nothing_in_shared_memory() {
    let settings = settings(&spec(&plugin()).process.unwrap().args);
    assert!(
        settings
            .iter()
            .any(|setting| setting == "dynamic_shared_memory_type=mmap")
    );
}

#[test]
fn braces_in_the_environment_are_not_holes() {
    let spec = spec(&plugin().with_env("JSON", "{\"a\":1}"));
    assert_eq!(spec.env["JSON"].render(|_| None).unwrap(), "{\"a\":1}");
}

#[test]
fn a_url_survives_any_credentials() {
    let plugin = plugin().credentials("o neil@x", "p@ss/w:rd#1 ä");
    let external = External::new("h", 1, BTreeMap::new());
    let handle = ServiceHandle::external("db", &spec(&plugin), external);
    assert_eq!(
        handle.url().unwrap(),
        "postgres://o%20neil%40x:p%40ss%2Fw%3Ard%231%20%C3%A4@h:1/app"
    );
    let config = Postgres::from(handle).config().unwrap();
    assert_eq!(config.get_user(), Some("o neil@x"));
    assert_eq!(config.get_password(), Some("p@ss/w:rd#1 ä".as_bytes()));
}

#[test]
fn exports_are_those_that_the_type_announces() {
    let mut announced = Postgres::EXPORTS.to_vec();
    announced.sort_unstable();
    let exports = spec(&plugin()).exports;
    assert_eq!(
        exports.keys().map(String::as_str).collect::<Vec<_>>(),
        announced
    );
}

#[test]
fn every_backend_is_shared_by_slices() {
    for backend in [
        BackendKind::Docker,
        BackendKind::Process,
        BackendKind::External,
    ] {
        assert_eq!(plugin().isolation(backend), Isolation::Slice);
    }
}

#[test]
fn relative_paths_mean_the_base() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("migrations")).unwrap();
    fs::write(base.path().join("migrations/1.sql"), "SELECT 1").unwrap();
    fs::write(base.path().join("seed.sql"), "SELECT 1").unwrap();
    let mut plugin = plugin().migrations("migrations").init_script("seed.sql");
    assert!(
        plugin.spec().is_err(),
        "the working directory has no migrations"
    );
    plugin.base_dir(base.path());
    plugin.spec().unwrap();
    let inputs = ["seed.sql", "migrations"].map(|path| base.path().join(path));
    assert_eq!(plugin.inputs(), inputs);
}

#[test]
fn sql_is_part_of_the_configuration_and_paths_are_not() {
    let [one, two] = ["SELECT 1", "SELECT 2"].map(|sql| plugin().init_sql(sql));
    assert_ne!(canonical(&one), canonical(&two));
    let [one, two] = ["a.sql", "b.sql"].map(|path| plugin().init_script(path));
    assert_eq!(canonical(&one), canonical(&two));
}

#[test]
fn an_external_url_is_read_whole() {
    let external = plugin()
        .external("postgres://me:p%40ss@db.test:5433/orders?sslmode=prefer")
        .unwrap();
    assert_eq!((external.host.as_str(), external.port), ("db.test", 5433));
    let handle = ServiceHandle::external("db", &spec(&plugin()), external);
    assert_eq!(
        handle.url().unwrap(),
        "postgres://me:p%40ss@db.test:5433/orders"
    );
    assert_eq!(handle.var("maintenance"), Some("orders"));
    let external = plugin().external("postgresql://me@[::1]").unwrap();
    let handle = ServiceHandle::external("db", &spec(&plugin()), external);
    assert_eq!(handle.url().unwrap(), "postgres://me:@[::1]:5432/me");
}

#[test]
fn a_bad_external_url_is_refused_without_being_shown() {
    for (url, why) in [
        ("mysql://me:s3cret@h/d", "it does not parse"),
        (
            "postgres://me:s3cret@a,b/d",
            "it does not name exactly one host",
        ),
        ("postgres://me:s3cret@%2Ftmp/d", "it names a socket"),
        ("postgres://h/s3cret", "it names no user"),
        ("postgres://me:s3cret@h/a%20b", "the name of its database"),
        (
            "postgres://me:s3cret@h/d?sslmode=require",
            "clnrm connects without TLS",
        ),
    ] {
        let error = plugin().external(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.message().contains(why), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[test]
fn the_type_is_registered_and_reads_its_configuration() {
    let registrations: Vec<_> = inventory::iter::<PluginRegistration>().collect();
    let [registration] = registrations[..] else {
        panic!("{registrations:?}")
    };
    assert_eq!(registration.service_type, "postgres");
    assert_eq!(registration.version, plugin().version().to_string());
    let config = json!({ "tag": "17", "init": [{ "sql": "SELECT 1" }], "password": "x" });
    let plugin = (registration.construct)(config).unwrap();
    let image = plugin.spec().unwrap().unwrap().container.unwrap().image;
    assert_eq!(image.to_string(), "postgres:17");
    let error = (registration.construct)(json!({ "migration": "x" })).unwrap_err();
    assert!(
        error.cause().unwrap().contains("unknown field `migration`"),
        "{error:?}"
    );
}

#[test]
fn a_parameter_of_the_type_alone_is_declared() {
    let declarations: Vec<_> = inventory::iter::<ServiceDeclaration>().collect();
    let [declaration] = declarations[..] else {
        panic!("{declarations:?}")
    };
    assert_eq!(
        (declaration.id, declaration.name),
        (Postgres::ID, Postgres::NAME)
    );
    assert!(
        Path::new(declaration.manifest_dir)
            .join("Cargo.toml")
            .exists()
    );
    assert_eq!((declaration.plugin)().unwrap().service_type(), "postgres");
}

/// A plugin of somebody's own.
#[derive(Debug)]
struct Own(&'static str);

impl ServicePlugin for Own {
    fn name(&self) -> &str {
        "own"
    }

    fn service_type(&self) -> &str {
        self.0
    }
}

#[test]
fn a_plugin_of_another_type_than_the_handle_is_an_error_before_anything_starts() {
    let declared = |plugin| ServiceDeclaration {
        id: "p/it/it::N",
        name: "n",
        location: clnrm_runtime::plugin::Location {
            file: "tests/it.rs",
            line: 7,
        },
        manifest_dir: "",
        scope: None,
        optional: false,
        needs: &[],
        env: &[],
        plugin,
    };
    let error = describe(&declared(|| {
        held_plugin(
            Own("redis"),
            "",
            <Postgres as clnrm_runtime::declare::Own>::check_plugin,
        )
    }));
    let error = error.error.unwrap();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Validation,
            "it is declared with a plugin of type `redis`, and holds a handle of `postgres`"
        )
    );
    assert_eq!(error.context("declared at"), Some("tests/it.rs:7"));
    assert!(
        error.hint().unwrap().contains("a `ServiceHandle`"),
        "{error}"
    );
    let held: [fn() -> clnrm_runtime::Result<_>; 3] = [
        || held_plugin(Own("postgres"), "", <Postgres as Service>::check_plugin),
        || held_plugin(plugin().tag("16"), "", <Postgres as Service>::check_plugin),
        || {
            held_plugin(
                Own("redis"),
                "",
                <ServiceHandle as clnrm_runtime::declare::Own>::check_plugin,
            )
        },
    ];
    for plugin in held {
        assert!(plugin().is_ok());
        assert!(describe(&declared(plugin)).error.is_none());
    }
}
