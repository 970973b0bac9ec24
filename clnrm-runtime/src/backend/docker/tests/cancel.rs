//! A start that is cancelled, at whatever moment, leaves nothing, and needs no sweep for it.

use std::sync::Arc;
use std::time::Duration;

use super::World;
use super::world::{container, script};
use crate::backend::Backend;
use crate::service::{File, Volume};
use crate::wait::backoff::rest;

async fn nothing_is_left(world: World) {
    let mut spec = script("trap '' TERM; while :; do sleep 1; done");
    container(&mut spec).volumes = vec![Volume::Anonymous {
        path: "/data".to_owned(),
    }];
    container(&mut spec).files = vec![File {
        path: "/tmp/file".to_owned(),
        contents: "text".to_owned(),
        mode: 0o644,
    }];
    let world = Arc::new(world);
    let mut interrupted = 0;
    for millis in [0, 1, 2, 5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 220, 300] {
        let request = world.request("db", spec.clone());
        let id = world.backend.create(&request).await.unwrap();
        let start = tokio::spawn({
            let (world, id) = (Arc::clone(&world), id.clone());
            async move { world.backend.start(&id).await.is_ok() }
        });
        rest(Duration::from_millis(millis)).await;
        start.abort();
        match start.await {
            // The start was faster than we, so its caller has it.
            Ok(true) => world.backend.remove(&id).await.unwrap(),
            Ok(false) => panic!("a start that nobody cancelled failed"),
            Err(_) => interrupted += 1,
        }
    }
    assert!(
        interrupted >= 5,
        "only {interrupted} were cancelled on their way"
    );
    world.backend.cleaning.close();
    world.backend.cleaning.wait().await;
    assert_eq!(world.left().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_start_is_cleaned_up_with_testcontainers() {
    let Some(world) = World::open().await else {
        return;
    };
    nothing_is_left(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_start_is_cleaned_up_with_bollard_alone() {
    let Some(world) = World::open_without_testcontainers().await else {
        return;
    };
    nothing_is_left(world).await;
}
