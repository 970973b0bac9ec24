//! What the plugin says, without a server.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

use std::collections::BTreeMap;
use std::path::Path;

use clnrm_redis::{Redis, RedisPlugin, plugin};
use clnrm_runtime::backend::BackendKind;
use clnrm_runtime::declare::{Service, ServiceDeclaration};
use clnrm_runtime::plugin::{External, PluginRegistration};
use clnrm_runtime::service::{Isolation, Program, Spec, Wait};
use clnrm_runtime::{ErrorKind, ServiceHandle, ServicePlugin};
use serde_json::json;

fn spec(plugin: &RedisPlugin) -> Spec {
    plugin.spec().unwrap().unwrap()
}

fn conf(plugin: &RedisPlugin) -> String {
    spec(plugin).process.unwrap().files[0].contents.clone()
}

#[track_caller]
fn check_mistake(plugin: &RedisPlugin, message: &str, hint: &str) {
    let error = plugin.spec().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Validation, message)
    );
    assert!(error.hint().unwrap().contains(hint), "{error}");
}

#[test]
fn the_default_is_the_image_that_is_tested() {
    let spec = spec(&plugin());
    assert_eq!(spec.container.unwrap().image.to_string(), "redis:7");
    assert_eq!(spec.wait, Wait::Plugin);
}

#[test]
fn a_tag_changes_image_and_preferred_version() {
    let spec = spec(&plugin().tag("8.2-alpine").require_version());
    assert_eq!(
        spec.container.unwrap().image.to_string(),
        "redis:8.2-alpine"
    );
    let Program::Named(program) = spec.process.unwrap().program else {
        panic!("not a named program")
    };
    let version = program.version.as_deref();
    assert_eq!((version, program.require_version), (Some("8"), true));
}

#[test]
fn another_image_keeps_the_contract() {
    let container = spec(&plugin().image("valkey/valkey:8.0.2-alpine"))
        .container
        .unwrap();
    assert_eq!(container.image.repository(), "valkey/valkey");
    // The entry points of both take a configuration file for an argument of their server.
    assert_eq!(
        container.command.unwrap()[0].to_string(),
        "/etc/clnrm-redis.conf"
    );
}

#[test]
fn the_password_stands_in_a_private_file_and_nowhere_else() {
    let plugin = plugin().password("s3cret word");
    let spec = spec(&plugin);
    let process = spec.process.as_ref().unwrap();
    assert_eq!(process.files[0].mode, 0o600);
    let escaped: String = "s3cret word"
        .bytes()
        .map(|b| format!("\\x{b:02x}"))
        .collect();
    assert!(conf(&plugin).starts_with(&format!("requirepass \"{escaped}\"\n")));
    let arguments = format!(
        "{:?} {:?}",
        process.args,
        spec.container.as_ref().unwrap().command
    );
    assert!(!arguments.contains("s3cret"), "{arguments}");
}

#[test]
fn debug_shows_no_password() {
    let plugin = plugin().password("s3cret");
    let shown = format!("{plugin:?} {:?}", spec(&plugin));
    assert!(
        !shown.contains("s3cret") && !shown.contains("\\\\x73"),
        "{shown}"
    );
}

#[test]
fn nothing_is_written_to_disk_unless_asked_for() {
    let volatile = conf(&plugin());
    assert!(volatile.contains("appendonly no\n") && volatile.contains("save \"\"\n"));
    assert!(conf(&plugin().persistent()).contains("appendonly yes\n"));
}

#[test]
fn settings_come_last_so_that_they_win() {
    let conf = conf(
        &plugin()
            .config("save", "900 1")
            .config("maxmemory", "64mb")
            .databases(20),
    );
    assert!(conf.contains("databases 20\n"));
    assert!(
        conf.ends_with("save \"\"\nmaxmemory 64mb\nsave 900 1\n"),
        "{conf}"
    );
}

#[test]
fn braces_in_the_environment_are_not_holes() {
    let spec = spec(&plugin().with_env("JSON", "{\"a\":1}"));
    assert_eq!(spec.env["JSON"].render(|_| None).unwrap(), "{\"a\":1}");
}

#[test]
fn a_url_survives_any_password() {
    let plugin = plugin().password("p@ss/w:rd#1");
    let external = External::new("h", 1, BTreeMap::new());
    let handle = ServiceHandle::external("cache", &spec(&plugin), external);
    assert_eq!(
        handle.url().unwrap(),
        "redis://default:p%40ss%2Fw%3Ard%231@h:1/0"
    );
    assert_eq!(handle.metadata["password"], "p@ss/w:rd#1");
    let client = Redis::from(handle).client().unwrap();
    let settings = client.get_connection_info().redis_settings().clone();
    assert_eq!(settings.password(), Some("p@ss/w:rd#1"));
}

#[test]
fn exports_are_those_that_the_type_announces() {
    let mut announced = Redis::EXPORTS.to_vec();
    announced.sort_unstable();
    let exports = spec(&plugin()).exports;
    assert_eq!(
        exports.keys().map(String::as_str).collect::<Vec<_>>(),
        announced
    );
}

#[test]
fn a_process_is_one_test_s_and_a_container_is_shared() {
    assert_eq!(
        plugin().isolation(BackendKind::Process),
        Isolation::Instance
    );
    for backend in [BackendKind::Docker, BackendKind::External] {
        assert_eq!(plugin().isolation(backend), Isolation::Slice);
    }
}

#[test]
fn an_external_url_is_read_whole() {
    let external = plugin()
        .external("redis://me:p%40ss@cache.test:6380/3")
        .unwrap();
    assert_eq!(
        (external.host.as_str(), external.port),
        ("cache.test", 6380)
    );
    let handle = ServiceHandle::external("cache", &spec(&plugin()), external);
    assert_eq!(handle.url().unwrap(), "redis://me:p%40ss@cache.test:6380/3");
}

#[test]
fn an_external_url_may_have_no_password() {
    let external = plugin().external("redis://[::1]").unwrap();
    let handle = ServiceHandle::external("cache", &spec(&plugin()), external);
    assert_eq!(handle.url().unwrap(), "redis://[::1]:6379/0");
}

#[test]
fn a_bad_external_url_is_refused_without_being_shown() {
    for url in [
        "http://me:s3cret@h/",
        "redis+unix:///s3cret",
        "s3cret",
        "redis://me:s3cret@/0",
    ] {
        let error = plugin().external(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[test]
fn invalid_config_says_the_fix() {
    check_mistake(
        &plugin().password(""),
        "the password is empty",
        "leave `.password(..)` out",
    );
    check_mistake(
        &plugin().databases(2),
        "`2` databases are too few or too many",
        "3 to 16384",
    );
    check_mistake(
        &plugin().tag(""),
        "bad image reference `redis:`: the tag is malformed",
        "a tag has",
    );
    check_mistake(
        &plugin().named("My Cache"),
        "`My Cache` is no name of a service",
        "orders-db",
    );
    check_mistake(
        &plugin().config("port", "1"),
        "setting `port` is not free",
        "up to the backend",
    );
    check_mistake(
        &plugin().config("a b", "1"),
        "`a b` is no setting of Redis",
        "maxmemory-policy",
    );
    check_mistake(
        &plugin().config("save", "1 1\nrequirepass x"),
        "the value of setting `save` has several lines",
        "one setting for each line",
    );
    check_mistake(
        &plugin().with_env("A=B", "1"),
        "`A=B` is no name of an environment variable",
        "apart",
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let error = plugin().password("").databases(0).spec().unwrap_err();
    assert_eq!(error.message(), "`redis` is misconfigured in 2 places");
}

#[test]
fn the_type_is_registered_and_reads_its_configuration() {
    let registrations: Vec<_> = inventory::iter::<PluginRegistration>().collect();
    let [registration] = registrations[..] else {
        panic!("{registrations:?}")
    };
    assert_eq!(registration.service_type, "redis");
    assert_eq!(registration.version, plugin().version().to_string());
    let plugin = (registration.construct)(json!({ "tag": "6.2", "persistent": true })).unwrap();
    let image = plugin.spec().unwrap().unwrap().container.unwrap().image;
    assert_eq!(image.to_string(), "redis:6.2");
    let error = (registration.construct)(json!({ "persistant": true })).unwrap_err();
    assert!(
        error
            .cause()
            .unwrap()
            .contains("unknown field `persistant`"),
        "{error:?}"
    );
}

#[test]
fn a_parameter_of_the_type_alone_is_declared() {
    let declarations: Vec<_> = inventory::iter::<ServiceDeclaration>().collect();
    let [declaration] = declarations[..] else {
        panic!("{declarations:?}")
    };
    assert_eq!((declaration.id, declaration.name), (Redis::ID, Redis::NAME));
    assert!(
        Path::new(declaration.manifest_dir)
            .join("Cargo.toml")
            .exists()
    );
    assert_eq!((declaration.plugin)().unwrap().service_type(), "redis");
}
