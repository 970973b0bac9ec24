//! Rows S1-8 to S1-10, S1-12 and S1-13: what a spec says is what the container gets.

use std::collections::BTreeMap;
use std::time::Duration;

use super::World;
use super::world::{BUSYBOX, container, get, script, spec, template, web};
use crate::backend::Backend;
use crate::service::{Endpoint, Healthcheck, Limits, Port, Var};

const SLEEP: &str = "exec sleep 600";

/// S1-9.
#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_rendered() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut spec = script(SLEEP);
    spec.ports.insert("main".to_owned(), Port::tcp(80));
    spec.vars.insert("user".to_owned(), Var::plain("ada"));
    spec.env = BTreeMap::from([
        ("URL".to_owned(), template("http://{user}@{host}:{port}")),
        ("BOTH".to_owned(), template("common")),
        ("DB".to_owned(), template("{db.url}")),
        ("EMPTY".to_owned(), template("")),
    ]);
    container(&mut spec)
        .env
        .insert("BOTH".to_owned(), template("container"));
    let mut request = world.request("app", spec);
    request
        .needs
        .insert("db.url".to_owned(), "postgres://db:5432/x=1".to_owned());
    let (id, _) = world.start_request(&request).await;
    for (name, value) in [
        ("URL", "http://ada@0.0.0.0:80"),
        ("BOTH", "container"),
        ("DB", "postgres://db:5432/x=1"),
        ("EMPTY", ""),
    ] {
        let (text, code) = world.shell(&id, &format!("printenv {name}")).await;
        assert_eq!((text.as_str(), code), (value, 0), "{name}");
    }
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_names_nothing_is_refused_before_anything_is_made() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut spec = spec(BUSYBOX);
    spec.env.insert("DB".to_owned(), template("{db.url}"));
    let error = world
        .backend
        .create(&world.request("app", spec))
        .await
        .unwrap_err();
    assert_eq!(error.message(), "cannot render variable `DB`");
    assert_eq!(
        error.cause(),
        Some("nothing is called `db.url` in `{db.url}`")
    );
    world.close().await;
}

/// S1-10: published on loopback alone, on a free port or on the one asked for.
#[tokio::test(flavor = "multi_thread")]
async fn ports_are_published_on_loopback_alone() {
    let Some(world) = World::open().await else {
        return;
    };
    let (id, started, ready) = world.start_ready("web", web()).await;
    ready.unwrap();
    let endpoint = &started.endpoints["main"];
    assert_eq!(endpoint.host, "127.0.0.1");
    assert!(get(endpoint, "/").await.unwrap().contains("It works."));
    let settings = world.inspect(&id).await.network_settings.unwrap();
    for binding in settings.ports.unwrap()["80/tcp"].as_ref().unwrap() {
        assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"));
    }
    for host in other_addresses() {
        let elsewhere = Endpoint {
            host,
            port: endpoint.port,
        };
        assert!(get(&elsewhere, "/").await.is_err(), "{elsewhere}");
    }
    world.backend.remove(&id).await.unwrap();

    let asked = crate::backend::process::port::reserve().unwrap();
    let mut spec = web();
    let port = Port {
        host: Some(asked),
        ..Port::tcp(80)
    };
    spec.ports.insert("main".to_owned(), port);
    let (id, started, ready) = world.start_ready("web", spec).await;
    ready.unwrap();
    assert_eq!(started.endpoints["main"].port, asked);
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

/// The addresses of this host besides loopback, as far as its routes tell.
fn other_addresses() -> Vec<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // No packet is sent: connecting only asks for the route.
    let outside = socket
        .connect("192.0.2.1:9")
        .and_then(|()| socket.local_addr());
    let outside = outside.map(|address| address.ip().to_string());
    let bridge = "172.17.0.1".to_owned();
    outside.into_iter().chain([bridge]).collect()
}

/// S1-12: exactly these words, whoever makes the container.
#[tokio::test(flavor = "multi_thread")]
async fn command_and_entry_point_are_exact() {
    for world in [
        World::open().await,
        World::open_without_testcontainers().await,
    ] {
        let Some(world) = world else { return };
        let mut spec = spec(BUSYBOX);
        let words = ["sh", "-c", "echo \"$0|$1\"; exec sleep 600", "a b", "{{c}}"];
        container(&mut spec).command = Some(words.map(template).to_vec());
        let (id, _) = world.start("app", spec.clone()).await;
        let config = world.inspect(&id).await.config.unwrap();
        let expected = ["sh", "-c", "echo \"$0|$1\"; exec sleep 600", "a b", "{c}"];
        assert_eq!(config.cmd.unwrap(), expected);
        world.backend.remove(&id).await.unwrap();

        let of = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        container(&mut spec).entrypoint = Some(of(&["sh", "-c", "echo $0 $1; exec sleep 600"]));
        container(&mut spec).command = Some(vec![template("one"), template("two")]);
        spec.wait = crate::service::Wait::log("^one two$");
        let (id, _, ready) = world.start_ready("app", spec).await;
        ready.unwrap();
        world.backend.remove(&id).await.unwrap();
        world.close().await;
    }
}

/// S1-13: command, interval and retries.
#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_is_the_specs_own() {
    for world in [
        World::open().await,
        World::open_without_testcontainers().await,
    ] {
        let Some(world) = world else { return };
        let mut spec = script(SLEEP);
        container(&mut spec).healthcheck = Some(Healthcheck {
            command: ["test", "-e", "/tmp/well"].map(str::to_owned).to_vec(),
            interval: Duration::from_millis(300),
            timeout: Duration::from_secs(7),
            retries: 2,
            start_period: Duration::from_millis(10),
        });
        let (id, _) = world.start("app", spec.clone()).await;
        let config = world.inspect(&id).await.config.unwrap();
        let check = config.healthcheck.unwrap();
        assert_eq!(check.test.unwrap(), ["CMD", "test", "-e", "/tmp/well"]);
        assert_eq!(check.interval, Some(300_000_000));
        assert_eq!(check.timeout, Some(7_000_000_000));
        assert_eq!(check.retries, Some(2));
        assert_eq!(check.start_period, Some(10_000_000));
        if world.is_podman() {
            eprintln!("SKIPPED, as Podman runs health checks by systemd's timers");
            world.backend.remove(&id).await.unwrap();
            return;
        }
        let is = async |expected| {
            let mut backoff = crate::wait::backoff::Backoff::new();
            let seen = async {
                while world.backend.inspect(&id).await.unwrap().healthy != Some(expected) {
                    backoff.pause().await;
                }
            };
            let seen = tokio::time::timeout(Duration::from_secs(60), seen).await;
            assert!(seen.is_ok(), "never healthy == {expected}");
        };
        is(false).await;
        world.shell(&id, "touch /tmp/well").await;
        is(true).await;
        let check = async || world.backend.inspect(&id).await.unwrap().check;
        assert_eq!(check().await, None);
        world.shell(&id, "rm /tmp/well").await;
        is(false).await;
        assert_eq!(check().await.unwrap(), "unhealthy: exit code 1");
        world.backend.remove(&id).await.unwrap();
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_workdir_and_limits_are_kept() {
    for world in [
        World::open().await,
        World::open_without_testcontainers().await,
    ] {
        let Some(world) = world else { return };
        let mut spec = script(SLEEP);
        let settings = container(&mut spec);
        settings.user = Some("65534:65534".to_owned());
        settings.workdir = Some("/var".to_owned());
        settings.limits = Limits {
            memory: Some(64 << 20),
            cpu_millis: Some(500),
            pids: Some(50),
            shm: Some(1 << 20),
        };
        let (id, _) = world.start("app", spec).await;
        let (text, _) = world
            .shell(&id, "id -u; pwd; df -k /dev/shm | tail -1")
            .await;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["65534", "/var"]);
        assert!(lines[2].contains(" 1024 "), "{text}");
        let host = world.inspect(&id).await.host_config.unwrap();
        assert_eq!(host.memory, Some(64 << 20));
        assert_eq!(host.nano_cpus, Some(500_000_000));
        assert_eq!(host.pids_limit, Some(50));
        world.backend.remove(&id).await.unwrap();
        world.close().await;
    }
}

/// S0-14.
#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_the_containers_own() {
    let Some(world) = World::open().await else {
        return;
    };
    let (id, started, ready) = world.start_ready("web", web()).await;
    ready.unwrap();
    let before = world.backend.stats(&id).await.unwrap();
    for _ in 0..50 {
        get(&started.endpoints["main"], "/").await.unwrap();
    }
    world
        .shell(&id, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
        .await;
    let after = world.backend.stats(&id).await.unwrap();
    assert!(after.cpu > before.cpu, "{before:?} {after:?}");
    assert!(after.memory > 100 << 10, "{after:?}");
    assert!(after.received > before.received, "{before:?} {after:?}");
    assert!(after.sent > before.sent, "{before:?} {after:?}");
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}
