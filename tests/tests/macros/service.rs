//! `#[clnrm::service]`: what is declared, and what a lease becomes.

use std::path::Path;
use std::time::Duration;

use clnrm::ServiceHandle;
use clnrm::service::{Program, Scope, Volume, Wait};
use clnrm_runtime::declare::Service;

use super::{declaration_of, lease_of, spec_of, texts};

#[clnrm::service(image = "db:1", port = 5432, scope = "run")]
struct Db(ServiceHandle);

#[clnrm::service(image = "cache:1", port = 6379, optional, name = "fast-cache")]
struct Cache {
    handle: ServiceHandle,
}

#[clnrm::service(
    bin = "shop",
    package = "shops",
    port = 8080,
    args = ["--db", "{db.url}"],
    env(DATABASE_URL = "{db.url}", "log.level" = "debug", WORKERS = 4),
    ready(http = "/healthz", timeout = "10s"),
)]
struct Shop {
    handle: ServiceHandle,
    db: Db,
    cache: Option<Cache>,
}

#[clnrm::service(
    image = "ghcr.io/team/all:1.2",
    program = "all",
    args = ["--port", "{port.api}"],
    command = ["serve", "{data_dir}"],
    port(api = 9000, admin = 9001),
    ready(any(log = "started", stream = "stderr", exec = ["check"])),
    start_timeout = "2m",
    stop_grace = "0s",
    volumes = ["./seed:/seed:ro", "/data"],
    alias = "all",
    aliases = ["everything"],
    network = "front",
    exports(admin = "http://{host}:{port.admin}"),
    scope = "test",
)]
struct All(ServiceHandle);

#[clnrm::service(program = "worker")]
struct Worker;

#[test]
fn the_id_says_where_the_type_is_declared() {
    assert_eq!(Shop::ID, "clnrm-tests/macros/macros::service::Shop");
    let location = declaration_of::<Shop>().location;
    assert!(
        Path::new(location.file).ends_with("tests/macros/service.rs"),
        "{location}"
    );
    assert!(location.line > 1);
}

#[test]
fn names_are_kebab_case_unless_given() {
    assert_eq!((Shop::NAME, Cache::NAME), ("shop", "fast-cache"));
}

#[test]
fn scope_and_optional_are_what_was_said() {
    assert_eq!(declaration_of::<Db>().scope, Some(Scope::Run));
    assert_eq!(declaration_of::<All>().scope, Some(Scope::Test));
    assert_eq!(declaration_of::<Shop>().scope, None);
    assert!(declaration_of::<Cache>().optional && !declaration_of::<Db>().optional);
}

#[test]
fn fields_are_dependencies() {
    let needs = declaration_of::<Shop>().needs.iter();
    let needs = needs.map(|need| (need.field, need.id, need.optional));
    assert_eq!(
        needs.collect::<Vec<_>>(),
        [("db", Db::ID, false), ("cache", Cache::ID, true)]
    );
}

#[test]
fn the_environment_keeps_its_holes_for_the_engine() {
    let env = declaration_of::<Shop>().env_templates().unwrap();
    let env = env.iter().map(|(name, text)| (name, text));
    assert_eq!(
        texts(env),
        ["DATABASE_URL={db.url}", "log.level=debug", "WORKERS=4"]
    );
}

#[test]
fn a_binary_is_a_process_with_its_port_announced() {
    let spec = spec_of::<Shop>();
    assert!(spec.container.is_none());
    let process = spec.process.unwrap();
    let bin = Program::Bin {
        package: "shops".to_owned(),
        name: "shop".to_owned(),
        path: None,
    };
    assert_eq!(process.program, bin);
    assert_eq!(process.args.last().unwrap().to_string(), "{db.url}");
    assert_eq!(texts(&spec.env), ["PORT={port}"]);
    assert_eq!(spec.wait, Wait::http("/healthz"));
    assert_eq!(spec.start_timeout, Duration::from_secs(10));
    assert_eq!(
        texts(&spec.exports),
        ["host={host}", "port={port}", "url=http://{host}:{port}"]
    );
}

#[test]
fn every_option_of_a_container_arrives() {
    let spec = spec_of::<All>();
    let container = spec.container.unwrap();
    assert_eq!(container.image.to_string(), "ghcr.io/team/all:1.2");
    let command = container.command.unwrap();
    let command = command.iter().map(ToString::to_string);
    assert_eq!(command.collect::<Vec<_>>(), ["serve", "{data_dir}"]);
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("seed");
    assert_eq!(
        container.volumes,
        [
            Volume::Bind {
                host: seed,
                path: "/seed".to_owned(),
                read_only: true
            },
            Volume::Anonymous {
                path: "/data".to_owned()
            },
        ]
    );
    assert_eq!(container.network.name.as_deref(), Some("front"));
    assert_eq!(container.network.aliases, ["all", "everything"]);
    assert_eq!(spec.ports.len(), 2);
    assert_eq!(spec.start_timeout, Duration::from_secs(120));
    assert_eq!(spec.stop.grace, Duration::ZERO);
    assert_eq!(All::EXPORTS, ["host", "port", "url", "admin"]);
    assert_eq!(texts(&spec.exports).len(), 4);
    let Wait::Any(waits) = spec.wait else {
        panic!("{:?}", spec.wait)
    };
    assert_eq!(waits.len(), 2);
    assert_eq!(
        texts(&spec.env),
        ["ADMIN_PORT={port.admin}", "API_PORT={port.api}"]
    );
}

#[test]
fn a_lease_becomes_the_struct() {
    let needs = vec![
        ("db".to_owned(), Some(lease_of::<Db>(Vec::new()))),
        ("cache".to_owned(), None),
    ];
    let shop = Shop::attach(lease_of::<Shop>(needs)).unwrap();
    assert_eq!(shop.url().unwrap(), "http://shop.test:1000");
    assert_eq!(shop.handle.name(), "shop");
    assert_eq!(shop.db.url().unwrap(), "tcp://db.test:1000");
    assert!(shop.cache.is_none());
}

#[test]
fn a_missing_dependency_is_an_error() {
    let error = Shop::attach(lease_of::<Shop>(vec![("db".to_owned(), None)])).err();
    assert_eq!(error.unwrap().message(), "`shop` runs without `db`");
}

#[test]
fn a_service_may_hold_nothing() {
    let Worker = Worker::attach(lease_of::<Worker>(Vec::new())).unwrap();
    let cache = Cache::attach(lease_of::<Cache>(Vec::new())).unwrap();
    assert_eq!(cache.name(), "fast-cache");
}
