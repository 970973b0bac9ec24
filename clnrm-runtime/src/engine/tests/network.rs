//! Containers that talk to each other share a network of their owner.

use super::sketch::{implied, own, service, shared};
use super::stage::{Stage, owner};
use crate::backend::fake::Step;
use crate::backend::{CreateRequest, NetworkId};
use crate::engine::Keep;
use crate::service::{ContainerSpec, Network};

fn networks(stage: &Stage) -> Vec<String> {
    let left = stage.fake.left().into_iter();
    left.filter(|line| line.starts_with("network")).collect()
}

fn last(stage: &Stage, name: &str) -> CreateRequest {
    stage.fake.requests(name).pop().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_one_owner_has_is_on_one_network() {
    let stage = Stage::new([
        service("db").networked(),
        service("shop").needs(&["db"]).networked(),
        service("alone"),
    ]);
    for (test, number) in [("a", 1), ("b", 2)] {
        let leases = [own("shop"), implied(own("db")), own("alone")];
        stage.acquire(test, leases).await.unwrap();
        let (db, shop) = (last(&stage, "db"), last(&stage, "shop"));
        assert!(db.network.is_some());
        assert_eq!(db.network, shop.network);
        assert_eq!((db.joins, shop.joins), (vec![], vec![]));
        assert_eq!(last(&stage, "alone").network, None);
        assert_eq!(networks(&stage).len(), number);
    }
    stage.release("a").await;
    assert_eq!(networks(&stage).len(), 1);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn who_needs_what_the_run_has_joins_its_network() {
    let stage = Stage::new([
        service("db").networked(),
        service("cache").networked(),
        service("shop").needs(&["db", "cache"]).networked(),
    ]);
    stage
        .acquire("a", [own("shop"), shared("db"), implied(shared("cache"))])
        .await
        .unwrap();
    let (db, shop) = (last(&stage, "db"), last(&stage, "shop"));
    assert_ne!(db.network, shop.network);
    assert_eq!(shop.joins, Vec::from_iter(db.network));
    stage.release("a").await;
    assert_eq!(networks(&stage).len(), 1);
    stage.shutdown().await;
    // All were removed by name, none by the sweep.
    assert_eq!(stage.script.of(Step::RemoveNetwork).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_name_makes_a_network_of_its_own() {
    let named = |name: &str| {
        service(name).networked().spec(|spec| {
            let mut container = ContainerSpec::new("fake:1".parse().unwrap());
            container.network = Network {
                name: Some("inner".to_owned()),
                aliases: Vec::new(),
            };
            spec.container = Some(container);
        })
    };
    let stage = Stage::new([named("db"), named("cache"), service("shop").networked()]);
    stage
        .acquire("a", [own("db"), own("cache"), own("shop")])
        .await
        .unwrap();
    let network = |name| last(&stage, name).network;
    assert_eq!(network("db"), network("cache"));
    assert_ne!(network("db"), network("shop"));
    stage.release("a").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn one_that_could_not_be_made_is_tried_again_with_the_next_attempt() {
    let stage = Stage::new([service("db").networked().attempts(2)]);
    stage.fails_times(Step::CreateNetwork, "network default", 1);
    stage.acquire("a", [own("db")]).await.unwrap();
    assert_eq!(stage.now(), 1);
    stage.release("a").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_kept_instance_keeps_its_network() {
    let stage = Stage::new([service("db").networked()]);
    stage.acquire("a", [own("db")]).await.unwrap();
    stage
        .engine
        .release(&owner("a"), Keep::WhileTheRunLasts)
        .await;
    assert_eq!(networks(&stage).len(), 1);
    stage.shutdown().await;
    assert_eq!(stage.script.of(Step::RemoveNetwork).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_at_once_make_one() {
    let names = ["one", "two", "three", "four"];
    let stage = Stage::new(names.map(|name| service(name).networked()));
    stage.takes(Step::CreateNetwork, "network default", 2);
    stage.acquire("a", names.map(own)).await.unwrap();
    let made: std::collections::BTreeSet<Option<NetworkId>> = names
        .iter()
        .map(|name| last(&stage, name).network)
        .collect();
    assert_eq!(made.len(), 1);
    assert_eq!(stage.now(), 2);
    assert_eq!(stage.script.of(Step::CreateNetwork).len(), 1);
    stage.shutdown().await;
}
