//! Row S1-14: who finds whom by which name.

use super::World;
use super::world::{container, script, web};
use crate::backend::{Backend, NetworkId};
use crate::service::{Endpoint, InstanceId};

const SLEEP: &str = "exec sleep 600";

async fn web_in(world: &World, network: &NetworkId, name: &str, aliases: &[&str]) -> InstanceId {
    let mut spec = web();
    container(&mut spec).network.aliases = aliases.iter().map(|name| (*name).to_owned()).collect();
    let mut request = world.request(name, spec);
    request.network = Some(network.clone());
    let (id, started) = world.start_request(&request).await;
    let inner = Endpoint {
        host: name.to_owned(),
        port: 80,
    };
    assert_eq!(started.inner["main"], inner);
    id
}

async fn client_in(world: &World, network: &NetworkId, joins: &[&NetworkId]) -> InstanceId {
    let mut request = world.request("client", script(SLEEP));
    request.network = Some(network.clone());
    request.joins = joins.iter().map(|network| (*network).clone()).collect();
    world.start_request(&request).await.0
}

/// Whether a page comes from `host` before the client gives up. The busybox of
/// Debian crashes on `wget -T`.
async fn reaches(world: &World, client: &InstanceId, host: &str) -> bool {
    let fetch = format!("timeout 2 wget -qO- http://{host}/healthz");
    let command = format!(
        "i=0; while [ $i -lt 20 ]; do {fetch} && exit 0; i=$((i+1)); usleep 50000; done; exit 1"
    );
    world.shell(client, &command).await == ("ok".to_owned(), 0)
}

/// Whether the name is known at all.
async fn resolves(world: &World, client: &InstanceId, host: &str) -> bool {
    let (text, _) = world
        .shell(client, &format!("nslookup {host} 127.0.0.11"))
        .await;
    text.contains("Name:")
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_a_network_find_each_other_by_name_and_others_do_not() {
    for world in [
        World::open().await,
        World::open_without_testcontainers().await,
    ] {
        let Some(world) = world else { return };
        let inside = world.network("default").await;
        let outside = world.network("default").await;
        let shop = web_in(&world, &inside, "shop-api", &[]).await;
        let client = client_in(&world, &inside, &[]).await;
        let stranger = client_in(&world, &outside, &[]).await;
        assert!(reaches(&world, &client, "shop-api").await);
        let (text, _) = world.shell(&shop, "getent hosts client").await;
        assert!(text.contains("client"), "the other way: {text}");
        assert!(!resolves(&world, &stranger, "shop-api").await);
        world.backend.sweep(&world.run).await.unwrap();
        world.close().await;
    }
}

/// testcontainers knows no aliases, so such a container is made without it.
#[tokio::test(flavor = "multi_thread")]
async fn aliases_of_the_spec_are_names_too() {
    let Some(world) = World::open().await else {
        return;
    };
    let network = world.network("default").await;
    web_in(&world, &network, "shop", &["api", "www.shop.test"]).await;
    let client = client_in(&world, &network, &[]).await;
    for name in ["shop", "api", "www.shop.test"] {
        assert!(reaches(&world, &client, name).await, "{name}");
    }
    world.backend.sweep(&world.run).await.unwrap();
    world.close().await;
}

/// A test's own service that needs one of the run is in both networks, and has
/// no name in the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_joined_network_is_there_from_the_start() {
    let Some(world) = World::open().await else {
        return;
    };
    let runs = world.network("run").await;
    let tests = world.network("test").await;
    let shared = web_in(&world, &runs, "shared", &[]).await;
    let client = client_in(&world, &tests, &[&runs]).await;
    let settings = world.inspect(&client).await.network_settings.unwrap();
    assert_eq!(settings.networks.unwrap().len(), 2);
    assert!(reaches(&world, &client, "shared").await);
    assert!(!resolves(&world, &shared, "client").await);
    world.backend.sweep(&world.run).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_may_be_removed_twice_but_not_while_it_is_used() {
    let Some(world) = World::open().await else {
        return;
    };
    let network = world.network("default").await;
    let client = client_in(&world, &network, &[]).await;
    let removed = world.backend.remove_network(&network).await;
    // Podman takes the network from under its containers.
    if !world.is_podman() {
        let error = removed.unwrap_err();
        assert!(error.message().contains("has active endpoints"), "{error}");
    }
    world.backend.remove(&client).await.unwrap();
    world.backend.remove_network(&network).await.unwrap();
    world.backend.remove_network(&network).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_gone_is_told() {
    for world in [
        World::open().await,
        World::open_without_testcontainers().await,
    ] {
        let Some(world) = world else { return };
        let mut request = world.request("client", script(SLEEP));
        request.network = Some(NetworkId("clnrm-no-such-network".to_owned()));
        let id = world.backend.create(&request).await.unwrap();
        let error = world.backend.start(&id).await.unwrap_err();
        assert!(error.message().ends_with("its network is gone"), "{error}");
        world.close().await;
    }
}
