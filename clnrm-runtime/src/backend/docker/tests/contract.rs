//! The suite that every backend passes, by both ways to make a container.

use super::World;
use super::world::{BUSYBOX, owner, script, spec};
use crate::backend::Source;
use crate::backend::contract::{Fixture, Recipe, check};
use crate::service::{Port, RunId, Spec};

fn recipe(spec: Spec) -> Recipe {
    let image = spec.container.as_ref().unwrap().image.clone();
    Recipe::new(spec, Source::Image(image))
}

fn fixture(world: &World) -> Fixture {
    let mut server =
        script("echo to stdout; echo to stderr >&2; mkdir -p /www; exec httpd -f -p 80 -h /www");
    server.ports.insert("main".to_owned(), Port::tcp(80));
    let mut broken = spec(BUSYBOX);
    broken.container.as_mut().unwrap().entrypoint = Some(vec!["no-such-program".to_owned()]);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Fixture {
        run: world.run.clone(),
        other_run: Some(RunId::new(format!("{}x", world.run))),
        owner: owner(),
        server: recipe(server),
        ends: recipe(script("echo last words >&2; exit 3")),
        stubborn: recipe(script(
            "trap '' TERM; echo to stdout; while :; do sleep 1; done",
        )),
        broken: recipe(broken),
        says: (words(&["echo", "said"]), "said".to_owned()),
        fails: (words(&["sh", "-c", "exit 4"]), 4),
        dir: "/tmp".to_owned(),
        answers: true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept_with_testcontainers() {
    let Some(world) = World::open().await else {
        return;
    };
    check(&world.backend, &fixture(&world)).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept_with_bollard_alone() {
    let Some(world) = World::open_without_testcontainers().await else {
        return;
    };
    check(&world.backend, &fixture(&world)).await;
    world.close().await;
}
