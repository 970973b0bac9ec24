//! What the plugin says.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

mod mistakes;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clnrm_generic::{Generic, GenericPlugin, plugin, program};
use clnrm_runtime::backend::BackendKind;
use clnrm_runtime::declare::{ANY_EXPORT, Own, ServiceDeclaration};
use clnrm_runtime::plugin::{External, PluginRegistration};
use clnrm_runtime::service::{
    ContainerSpec, Isolation, NamedProgram, Port, PortProtocol, Spec, Template, Volume, Wait,
};
use clnrm_runtime::{ErrorKind, ServiceHandle, ServicePlugin};
use serde_json::json;

fn web() -> GenericPlugin {
    plugin("nginx:1.29")
}

fn spec(plugin: &GenericPlugin) -> Spec {
    plugin.spec().unwrap().unwrap()
}

fn container(plugin: &GenericPlugin) -> ContainerSpec {
    spec(plugin).container.unwrap()
}

fn texts(templates: &[Template]) -> Vec<String> {
    templates.iter().map(ToString::to_string).collect()
}

#[test]
fn any_image_reference_is_taken() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    for (plugin, image) in [
        (web(), "nginx:1.29".to_owned()),
        (
            plugin("host:5000/team/web:1"),
            "host:5000/team/web:1".to_owned(),
        ),
        (
            plugin("host:5000/team/web").tag("2"),
            "host:5000/team/web:2".to_owned(),
        ),
        (web().tag("1.30"), "nginx:1.30".to_owned()),
        (web().digest(&digest), format!("nginx:1.29@{digest}")),
        (plugin("nginx").digest(&digest), format!("nginx@{digest}")),
        (
            plugin("nginx").tag("1").digest(&digest),
            format!("nginx:1@{digest}"),
        ),
        (plugin(format!("nginx@{digest}")), format!("nginx@{digest}")),
    ] {
        assert_eq!(container(&plugin).image.to_string(), image);
    }
}

#[test]
fn ports_have_names_and_the_first_is_main() {
    let plugin = web()
        .port(80)
        .port("8443:443")
        .port("0:53/udp")
        .named_port("api", 9000);
    let ports = spec(&plugin).ports;
    assert_eq!(ports["main"], Port::tcp(80));
    assert_eq!(
        ports["443"],
        Port {
            number: 443,
            host: Some(8443),
            protocol: PortProtocol::Tcp
        }
    );
    assert_eq!(
        ports["53"],
        Port {
            number: 53,
            host: None,
            protocol: PortProtocol::Udp
        }
    );
    assert_eq!(ports["api"], Port::tcp(9000));
}

#[test]
fn environment_has_holes_and_secrets_are_not_shown() {
    let plugin = web()
        .port(80)
        .env("LISTEN", "{host}:{port}")
        .secret("API_KEY", "s3cret");
    let spec = spec(&plugin);
    assert_eq!(
        spec.env["LISTEN"].holes().collect::<Vec<_>>(),
        ["host", "port"]
    );
    let key = spec.env["API_KEY"].render(|hole| Some(spec.vars[hole].value.clone()));
    assert_eq!(key.unwrap(), "s3cret");
    assert!(!format!("{plugin:?} {spec:?}").contains("s3cret"));
}

#[test]
fn volumes_are_relative_to_the_base() {
    let mut plugin = web()
        .volume("site:/www:ro")
        .volume("/etc/x:/x")
        .volume("/cache")
        .tmpfs("/tmp");
    plugin.base_dir(Path::new("/base"));
    let volumes = container(&plugin).volumes;
    let bind = |host: &str, path: &str, read_only| Volume::Bind {
        host: host.into(),
        path: path.to_owned(),
        read_only,
    };
    assert_eq!(
        volumes,
        [
            bind("/base/site", "/www", true),
            bind("/etc/x", "/x", false),
            Volume::Anonymous {
                path: "/cache".to_owned()
            },
            Volume::Tmpfs {
                path: "/tmp".to_owned()
            },
        ]
    );
}

#[test]
fn command_and_entry_point_replace_the_image_s() {
    let container = container(
        &web()
            .command(["nginx", "-g", "daemon off;"])
            .entrypoint(["/bin/sh"]),
    );
    assert_eq!(
        texts(&container.command.unwrap()),
        ["nginx", "-g", "daemon off;"]
    );
    assert_eq!(container.entrypoint.unwrap(), ["/bin/sh"]);
    let untouched = self::container(&web());
    assert_eq!((untouched.command, untouched.entrypoint), (None, None));
}

#[test]
fn a_health_check_is_what_makes_it_ready() {
    let half = Duration::from_millis(500);
    let plugin = web()
        .port(80)
        .healthcheck(["curl", "-f", "localhost"], half, half * 2, 3);
    let spec = spec(&plugin);
    assert_eq!(spec.wait, Wait::Healthcheck);
    let check = spec.container.unwrap().healthcheck.unwrap();
    assert_eq!(check.command, ["curl", "-f", "localhost"]);
    assert_eq!(
        (check.interval, check.timeout, check.retries),
        (half, half * 2, 3)
    );
    // A process has no health check of an image.
    let both = self::spec(&plugin.program("nginx")).wait;
    assert_eq!(
        both,
        Wait::Tcp {
            port: Some("main".to_owned())
        }
    );
}

#[test]
fn ready_is_a_tcp_port_unless_told_otherwise() {
    assert_eq!(spec(&web()).wait, Wait::Running);
    assert_eq!(spec(&web().port("53/udp")).wait, Wait::Running);
    let main = Wait::Tcp {
        port: Some("main".to_owned()),
    };
    assert_eq!(spec(&web().named_port("api", 1).port(80)).wait, main);
    let told = web()
        .port(80)
        .ready(Wait::http("/healthz"))
        .start_timeout(Duration::from_secs(5));
    assert_eq!(spec(&told).wait, Wait::http("/healthz"));
    assert_eq!(spec(&told).start_timeout, Duration::from_secs(5));
}

#[test]
fn network_aliases_limits_user_and_directory_reach_the_container() {
    let plugin = web()
        .network("backend")
        .alias("web")
        .alias("www")
        .memory("64m")
        .shm("1g")
        .cpus(0.5)
        .pids(64)
        .user("1000:1000")
        .workdir("/srv");
    let container = container(&plugin);
    assert_eq!(container.network.name.as_deref(), Some("backend"));
    assert_eq!(container.network.aliases, ["web", "www"]);
    assert_eq!(
        (container.limits.memory, container.limits.shm),
        (Some(64 << 20), Some(1 << 30))
    );
    assert_eq!(
        (container.limits.cpu_millis, container.limits.pids),
        (Some(500), Some(64))
    );
    assert_eq!(container.user.as_deref(), Some("1000:1000"));
    assert_eq!(container.workdir.as_deref(), Some("/srv"));
}

#[test]
fn a_program_is_told_its_port() {
    let spec = spec(&program("nats-server").args(["-p", "{port}"]).port(4222));
    assert!(spec.container.is_none());
    let process = spec.process.unwrap();
    assert_eq!(texts(&process.args), ["-p", "{port}"]);
    assert_eq!(process.env["PORT"].to_string(), "{port}");
    assert_eq!(process.program, NamedProgram::new("nats-server").into());
    let both = self::spec(&web().program("nginx"));
    assert!(both.container.is_some() && both.process.is_some());
}

#[test]
fn exports_say_where_it_answers() {
    let external = || External::new("h", 81, BTreeMap::new());
    let url =
        |plugin: &GenericPlugin| ServiceHandle::external("web", &spec(plugin), external()).url();
    assert_eq!(url(&web().port(80)).unwrap(), "tcp://h:81");
    assert_eq!(
        url(&web().port(80).ready(Wait::http("/"))).unwrap(),
        "http://h:81"
    );
    let own = web()
        .port(80)
        .secret("KEY", "k")
        .export("url", "x://{key}@{host}:{port.main}/");
    assert_eq!(url(&own).unwrap(), "x://k@h:81/");
    assert!(url(&web()).is_err(), "it has no port");
    let exports = spec(&web().port(80)).exports;
    assert!(exports.keys().eq(["host", "port", "url"]), "{exports:?}");
    // The compiler lets a dependant name what this declaration alone has.
    assert_eq!(Generic::EXPORTS, [ANY_EXPORT]);
}

#[test]
fn each_test_has_an_instance_of_its_own() {
    for backend in [BackendKind::Docker, BackendKind::Process] {
        assert_eq!(web().isolation(backend), Isolation::Instance);
    }
}

#[test]
fn the_type_is_registered_and_reads_its_configuration() {
    let registrations: Vec<_> = inventory::iter::<PluginRegistration>().collect();
    let [registration] = registrations[..] else {
        panic!("{registrations:?}")
    };
    assert_eq!(registration.service_type, "generic");
    assert_eq!(registration.version, web().version().to_string());
    let config = json!({ "image": "nginx:1.29", "ports": ["0:80"], "volumes": ["/x:/x:ro"], "ready": { "http": { "path": "/", "port": null, "status": null, "body": null } } });
    let plugin = (registration.construct)(config).unwrap();
    assert_eq!(plugin.spec().unwrap().unwrap().ports["main"], Port::tcp(80));
    let error = (registration.construct)(json!({ "port": 80 })).unwrap_err();
    assert!(
        error.cause().unwrap().contains("unknown field `port`"),
        "{error:?}"
    );
    let nothing = (registration.construct)(serde_json::Value::Null).unwrap();
    assert_eq!(
        nothing.spec().unwrap_err().message(),
        "there is nothing to run"
    );
}

#[test]
fn nothing_is_declared_without_an_image() {
    assert_eq!(inventory::iter::<ServiceDeclaration>().count(), 0);
}
