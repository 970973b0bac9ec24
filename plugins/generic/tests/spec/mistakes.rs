//! What the plugin refuses, and how it says so.

use super::*;

#[track_caller]
fn check_mistake(plugin: &GenericPlugin, message: &str, hint: &str) {
    let error = plugin.spec().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Validation, message)
    );
    assert!(
        error.hint().unwrap_or(error.message()).contains(hint),
        "{error}"
    );
}

#[test]
fn invalid_config_says_the_fix() {
    check_mistake(
        &plugin("nginx"),
        "bad image reference `nginx`: it has no tag",
        "add the tag",
    );
    check_mistake(
        &web().digest("sha256:12"),
        "bad image reference `nginx:1.29@sha256:12`: the digest is malformed",
        "64 hexadecimal",
    );
    check_mistake(
        &GenericPlugin::default(),
        "there is nothing to run",
        "plugin(\"image:tag\")",
    );
    check_mistake(
        &web().named("Web"),
        "`Web` is no name of a service",
        "lower-case",
    );
    check_mistake(
        &web().port("80:x"),
        "bad port `80:x`: a port is a number up to 65535",
        "8080:80",
    );
    check_mistake(
        &web().volume("a:b"),
        "bad volume `a:b`: the path inside is not absolute",
        "host/path:/path/inside",
    );
    check_mistake(
        &web().tmpfs("tmp"),
        "the tmpfs `tmp` is not absolute",
        "from `/` on",
    );
    check_mistake(
        &web().workdir("srv"),
        "the working directory `srv` is not absolute",
        "from `/` on",
    );
    check_mistake(
        &web().env("A=B", "1"),
        "`A=B` is no name of an environment variable",
        "apart",
    );
    check_mistake(
        &web().env("A", "{"),
        "variable `A` is malformed: unmatched `{` at byte 0 of `{` (hint: write `{{` for a brace)",
        "`{{`",
    );
    check_mistake(
        &web().secret("a.b", "x"),
        "`a.b` is no name of a secret",
        "letters, digits and `_`",
    );
    check_mistake(
        &web().secret("HOST", "x"),
        "`{host}` would be more than the secret `HOST`",
        "another name",
    );
    check_mistake(
        &web().secret("KEY", "x").secret("Key", "y"),
        "`{key}` would be more than the secret `Key`",
        "another name",
    );
    check_mistake(
        &web().command(["}"]),
        "command is malformed: unmatched `}` at byte 0 of `}` (hint: write `}}` for a brace)",
        "`}}`",
    );
    check_mistake(
        &web().network("My Net"),
        "`My Net` is no name of a service",
        "lower-case",
    );
    check_mistake(&web().memory("1x"), "bad size `1x`", "`64m`");
    check_mistake(
        &web().memory("1m"),
        "the limit of memory is below what a container needs",
        "`6m` or more",
    );
    check_mistake(
        &web().cpus(0.0),
        "the number of processors is out of range",
        "`0.5`",
    );
    check_mistake(
        &web().cpus(f64::NAN),
        "the number of processors is out of range",
        "`0.5`",
    );
    check_mistake(
        &web().pids(0),
        "a container with `0` processes cannot run",
        "leave the limit out",
    );
    check_mistake(
        &web().ready(Wait::Plugin),
        "a service of any kind has no protocol to be ready in",
        "Wait::http",
    );
    check_mistake(
        &web().ready(Wait::http("/")),
        "it waits for port `main`, which it does not have",
        "give it a port",
    );
    check_mistake(
        &web().port(80).export("x", "{db}"),
        "export `x` names `db`, which the service does not have",
        "`host`",
    );
    check_mistake(&program("a/b"), "`a/b` is no name of a program", "PATH");
    check_mistake(
        &program("a").volume("/x:/x"),
        "`volume` is of a container, and there is no image",
        "leave it out",
    );
    let second = Duration::from_secs(1);
    check_mistake(
        &web().healthcheck([""], second, second, 1),
        "the health check has no command",
        "a program",
    );
    check_mistake(
        &web().healthcheck(["x"], Duration::ZERO, second, 1),
        "the health check has an interval, a timeout or a count of zero",
        "half a second",
    );
    check_mistake(
        &web().start_timeout(Duration::ZERO),
        "the start timeout is zero",
        "a minute",
    );
}

#[test]
fn a_port_conflict_within_the_service_is_refused() {
    for (one, two) in [
        ("80", "80"),
        ("8080:80", "8080:81"),
        ("a=80", "a=81"),
        ("80", "81:80"),
    ] {
        let message = format!("port `{two}` is there twice");
        check_mistake(&web().port(one).port(two), &message, "one line");
    }
    spec(&web().port("53:53").port("53:53/udp"));
}

#[test]
fn all_mistakes_are_reported_at_once_and_once() {
    let plugin = plugin("Nginx")
        .port("x")
        .ready(Wait::http("/"))
        .memory("y")
        .volume("z")
        .workdir("site");
    let error = plugin.spec().unwrap_err();
    assert_eq!(
        error.to_string().lines().next().unwrap(),
        "`generic` is misconfigured in 5 places"
    );
    assert!(
        error.context("mistake 1").unwrap().contains("bad port `x`"),
        "{error}"
    );
}
