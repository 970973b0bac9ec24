//! How containers end, however they end.

use std::time::{Duration, Instant};

use super::NOW;
use super::World;
use super::world::{BUSYBOX, container, script, spec, template, web};
use crate::backend::{Backend, State};
use crate::error::{CleanroomError, ErrorKind};
use crate::service::{Healthcheck, Port, Stop, StopSignal, Volume};
use crate::wait::backoff::Backoff;

/// An error without the engine's words, which differ from version to version.
fn ours(error: &CleanroomError) -> String {
    assert!(
        error.context("engine").is_some_and(|said| !said.is_empty()),
        "{error}"
    );
    let text = error.to_string();
    let lines = text.lines().filter(|line| !line.starts_with("  engine: "));
    lines.collect::<Vec<_>>().join("\n")
}

fn stop(grace: Duration) -> Stop {
    Stop {
        signal: StopSignal::Term,
        grace,
    }
}

/// S0-1: the handle's id is one that the engine knows.
#[tokio::test(flavor = "multi_thread")]
async fn the_id_is_the_engines_name_for_it() {
    let Some(world) = World::open().await else {
        return;
    };
    let (id, started) = world.start("web", web()).await;
    let answer = world.inspect(&id).await;
    assert_eq!(answer.state.unwrap().running, Some(true));
    let published = answer.network_settings.unwrap().ports.unwrap();
    let binding = published["80/tcp"].as_ref().unwrap()[0].clone();
    assert_eq!(
        binding.host_port,
        Some(started.endpoints["main"].port.to_string())
    );
    let labels = answer.config.unwrap().labels.unwrap();
    assert_eq!(labels["clnrm.run"], world.run.as_str());
    assert_eq!(labels["clnrm.service"], "web");
    for label in ["clnrm.owner", "clnrm.key", "clnrm.attempt"] {
        assert!(labels.contains_key(label), "{label}");
    }
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

/// S0-3.
#[tokio::test(flavor = "multi_thread")]
async fn stop_and_remove_may_be_repeated_and_come_too_late() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut sleeper = script("exec sleep 600");
    container(&mut sleeper).volumes = vec![Volume::Anonymous {
        path: "/data".to_owned(),
    }];
    let (id, _) = world.start("twice", sleeper.clone()).await;
    world.backend.stop(&id, NOW).await.unwrap();
    world.backend.stop(&id, NOW).await.unwrap();
    assert_eq!(world.state(&id).await, State::Exited { code: 137 });
    world.backend.remove(&id).await.unwrap();
    world.backend.remove(&id).await.unwrap();

    if world.is_podman() {
        eprintln!("SKIPPED in part, as Podman 4 leaves out the labels of anonymous volumes");
        return;
    }
    let (id, _) = world.start("by-others", sleeper).await;
    // By somebody who leaves the volume.
    let options = testcontainers::bollard::query_parameters::RemoveContainerOptionsBuilder::new()
        .force(true)
        .build();
    let removed = world.docker().remove_container(id.as_str(), Some(options));
    removed.await.unwrap();
    assert_eq!(world.left().await.len(), 1, "the volume");
    world.backend.stop(&id, NOW).await.unwrap();
    world.backend.remove(&id).await.unwrap();
    assert_eq!(world.state(&id).await, State::Gone);
    world.close().await;
}

/// S0-4: paused is unhealthy, gone is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_container_is_unhealthy_and_a_removed_one_is_gone() {
    let Some(world) = World::open().await else {
        return;
    };
    if world.is_podman() {
        eprintln!("SKIPPED, as Podman runs health checks by systemd's timers");
        return;
    }
    let mut spec = web();
    container(&mut spec).healthcheck = Some(Healthcheck {
        command: vec!["true".to_owned()],
        interval: Duration::from_millis(200),
        timeout: Duration::from_secs(5),
        retries: 3,
        start_period: Duration::ZERO,
    });
    spec.wait = crate::service::Wait::Healthcheck;
    let (id, _, ready) = world.start_ready("web", spec).await;
    ready.unwrap();
    let healthy = async || world.backend.inspect(&id).await.unwrap().healthy;
    let mut backoff = Backoff::new();
    assert_eq!(healthy().await, Some(true));
    world.backend.pause(&id).await.unwrap();
    assert_eq!(world.state(&id).await, State::Paused);
    assert_eq!(healthy().await, Some(false));
    world.backend.unpause(&id).await.unwrap();
    while healthy().await != Some(true) {
        backoff.pause().await;
    }
    world.backend.remove(&id).await.unwrap();
    assert_eq!(world.state(&id).await, State::Gone);
    assert_eq!(healthy().await, None);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_hears_the_signal_ends_by_itself() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut polite = script("trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done");
    polite.wait = crate::service::Wait::log("up");
    let (id, _, ready) = world.start_ready("polite", polite).await;
    ready.unwrap();
    world
        .backend
        .stop(&id, stop(Duration::from_secs(60)))
        .await
        .unwrap();
    assert_eq!(world.state(&id).await, State::Exited { code: 5 });
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_does_not_ask_what_ignores_signals() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut deaf = script("trap '' TERM INT QUIT; echo up; while :; do sleep 1; done");
    deaf.wait = crate::service::Wait::log("up");
    let (id, _, ready) = world.start_ready("deaf", deaf).await;
    ready.unwrap();
    let begin = Instant::now();
    world.backend.remove(&id).await.unwrap();
    // Not a benchmark: the engine's own stop takes that long.
    assert!(begin.elapsed() < Duration::from_secs(10));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_here_is_refused_when_created() {
    let Some(world) = World::open().await else {
        return;
    };
    let request = world.request("db", spec("clnrm-test/absent:1"));
    let error = world.backend.create(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Container);
    insta::assert_snapshot!(ours(&error), @r"
    cannot create service `db`: image `clnrm-test/absent:1` is not present
      service: db
      image: clnrm-test/absent:1
      hint: run `docker pull clnrm-test/absent:1`, or map the name to an image that is here under `[images]` in clnrm.toml
    ");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_in_the_image_leaves_nothing() {
    for world in [
        World::open().await,
        World::open_without_testcontainers().await,
    ] {
        let Some(world) = world else { return };
        let mut spec = spec(BUSYBOX);
        container(&mut spec).command = Some(vec![template("no-such-program")]);
        container(&mut spec).volumes = vec![Volume::Anonymous {
            path: "/data".to_owned(),
        }];
        let id = world
            .backend
            .create(&world.request("db", spec))
            .await
            .unwrap();
        let error = world.backend.start(&id).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(ours(&error), @r"
            cannot start service `db`: image `clnrm-test/busybox:1` has no program `no-such-program`
              service: db
              image: clnrm-test/busybox:1
              hint: check `command` and `entrypoint`: the first word is looked up in the image's PATH
            ");
        }
        assert!(!error.is_transient());
        assert_eq!(world.left().await, Vec::<String>::new());
        assert_eq!(world.state(&id).await, State::Gone);
        world.close().await;
    }
}

/// S1-40: a taken port is named, and is not retried where the user asked for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_taken_host_port_is_named() {
    for world in [
        World::open().await,
        World::open_without_testcontainers().await,
    ] {
        let Some(world) = world else { return };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut spec = web();
        let asked = Port {
            host: Some(port),
            ..Port::tcp(80)
        };
        spec.ports.insert("main".to_owned(), asked);
        let id = world
            .backend
            .create(&world.request("web", spec))
            .await
            .unwrap();
        let error = world.backend.start(&id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Container);
        assert_eq!(error.context("port"), Some(&*port.to_string()));
        assert_eq!(
            error.message(),
            format!("cannot start service `web`: port {port} of this host is taken")
        );
        assert!(!error.is_transient());
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_takes_containers_networks_and_volumes() {
    let Some(world) = World::open().await else {
        return;
    };
    let network = world.network("default").await;
    let mut spec = script("trap '' TERM; exec sleep 600");
    container(&mut spec).volumes = vec![Volume::Anonymous {
        path: "/data".to_owned(),
    }];
    let mut request = world.request("db", spec.clone());
    request.network = Some(network);
    world.start_request(&request).await;
    let pending = world.request("pending", spec);
    let pending = world.backend.create(&pending).await.unwrap();
    let swept = world.backend.sweep(&world.run).await.unwrap();
    let kinds: Vec<&str> = swept
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let expected = ["container", "network", "volume"];
    assert_eq!(kinds, expected[..2 + world.labelled(1)], "{swept:?}");
    assert_eq!(world.state(&pending).await, State::Gone);
    world.close().await;
}
