//! Expansions of `#[clnrm::service]`.

use crate::root::Root;
use crate::snapshot::{assert_text, pretty, tokens};

#[track_caller]
fn expand(arguments: &str, item: &str) -> String {
    pretty(super::service(
        &Root::facade(),
        tokens(arguments),
        &tokens(item),
    ))
}

#[track_caller]
fn check(name: &str, arguments: &str, item: &str) {
    assert_text!(name, expand(arguments, item));
}

/// The runtime's `Declared` alone.
#[track_caller]
fn declared(arguments: &str) -> String {
    let text = expand(
        arguments,
        "struct Shop { handle: ServiceHandle, db: Postgres }",
    );
    let from = text.find("&::clnrm::__private::Declared {").unwrap();
    let to = text[from..].find("manifest_dir").unwrap();
    let lines = text[from..from + to].lines().map(str::trim);
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_binary_wired_to_its_dependencies() {
    check(
        "bin",
        "bin = \"shop\", port = 8080, env(DATABASE_URL = \"{db.url}\", REDIS_URL = \"{cache.url}\"), ready(http = \"/healthz\")",
        "#[derive(Debug)] #[cfg(unix)] struct Shop { handle: ServiceHandle, db: Postgres, cache: Option<Redis> }",
    );
}

#[test]
fn a_newtype_over_a_plugin() {
    check(
        "plugin",
        "clnrm::postgres::plugin().tag(\"15\").migrations(\"migrations\"), env(TZ = \"UTC\", N = 4), scope = \"run\", name = \"orders\", optional",
        "pub struct OrdersDb(Postgres);",
    );
}

#[test]
fn a_service_that_nobody_talks_to() {
    check(
        "unit",
        "program = \"worker\", scope = \"test\", crate = own",
        "struct Worker;",
    );
}

#[test]
fn options_of_a_container() {
    assert_text!("container", declared(
        "image = \"ghcr.io/team/web:1\", program = \"web\", args = [\"--db\", \"{db.url}\"], command = [\"serve\", \"{port.api}\"],
        port(api = 9000, admin = 9001), start_timeout = \"60s\", stop_grace = \"0s\", volumes = [\"./seed:/seed:ro\", \"/data\"],
        alias = \"web\", aliases = [\"www\"], network = \"front\", exports(admin = \"http://{host.admin}:{port.admin}/{name}\")",
    ));
}

#[test]
fn conditions_of_ready() {
    let waits = [
        "http = \"/healthz\"",
        "http = \"/healthz\", port = \"api\", status = 204, body = \"^ok$\", timeout = \"10s\"",
        "tcp",
        "tcp, port = \"api\"",
        "log = \"ready \\\\d+\", count = 2, stream = \"stderr\"",
        "exec = [\"pg_isready\", \"-q\"]",
        "healthcheck",
        "tcp, log = \"up\", stream = \"stdout\"",
        "all(tcp, any(log = \"a\", log = \"b\"))",
    ];
    let texts = waits.map(|wait| {
        let text = declared(&format!("image = \"a:1\", port(api = 80), ready({wait})"));
        let ready = text.split_once("ready:").unwrap().1;
        format!(
            "ready({wait})\n    {}",
            ready.split_whitespace().collect::<Vec<_>>().join(" ")
        )
    });
    assert_text!("ready", texts.join("\n"));
}

#[test]
fn another_package_has_no_path_here() {
    assert_text!("package", declared("bin = \"pay\", package = \"payments\""));
}

#[test]
fn a_struct_with_mistakes_stands_for_a_service_all_the_same() {
    check(
        "mistakes",
        "image = \"postgres\", redy(http = \"/\")",
        "struct Shop { handle: ServiceHandle }",
    );
}
