//! Several services at once: which are started, in which order, and how they reach each other.

use clnrm::ServiceHandle;
use clnrm::generic::{Generic, plugin};
use clnrm::postgres::Postgres;
use clnrm::redis::Redis;
use clnrm_runtime::label;

use crate::engine::{engine_or_skip, inspect, labelled};

/// It ends at once unless its Redis answers when it starts.
#[clnrm::service(
    image = "clnrm-test/busybox:1",
    command = ["sh", "-c", "printf 'AUTH {cache.username} {cache.password}\\r\\nPING\\r\\n' | nc -w 2 {cache.host} {cache.port} | grep PONG && sleep 600"],
    ready(log = "PONG"),
    optional
)]
struct Caller {
    handle: ServiceHandle,
    cache: Redis,
}

#[clnrm::service(
    image = "clnrm-test/web:1",
    port = 80,
    ready(http = "/healthz"),
    optional
)]
struct Web(ServiceHandle);

/// Says when it starts, and is ready two seconds later.
#[clnrm::service(
    image = "clnrm-test/busybox:1",
    command = ["sh", "-c", "date +%s; sleep 2; echo up; sleep 600"],
    ready(log = "up"),
    optional
)]
struct Slow(ServiceHandle);

/// The same once more.
#[clnrm::service(
    image = "clnrm-test/busybox:1",
    command = ["sh", "-c", "date +%s; sleep 2; echo up; sleep 601"],
    ready(log = "up"),
    optional
)]
struct AlsoSlow(ServiceHandle);

/// Declared, and named by no test that runs.
#[clnrm::service(plugin("clnrm-test/busybox:1").command(["sleep", "600"]))]
struct Unwanted(Generic);

#[clnrm::test]
#[ignore = "it declares something that no test needs which runs"]
fn nobody_wants_it(unwanted: &Unwanted) {
    assert!(unwanted.container_id().is_some());
}

#[clnrm::test]
async fn five_services_run_at_once_and_nothing_else(
    db: Postgres,
    cache: Redis,
    web: Option<Web>,
    slow: Option<Slow>,
    also_slow: Option<AlsoSlow>,
) {
    engine_or_skip!();
    let (web, slow, also_slow) = (web.unwrap(), slow.unwrap(), also_slow.unwrap());
    let all: [&ServiceHandle; 5] = [&db, &cache, &web, &slow, &also_slow];
    for handle in all {
        assert!(handle.health_check().await.unwrap().is_healthy());
        let id = handle.container_id().unwrap();
        let container = inspect(id).unwrap();
        assert_eq!(container["State"]["Running"], true);
        let run = container["Config"]["Labels"][label::RUN].as_str().unwrap();
        let same = labelled(&[(label::RUN, run), (label::SERVICE, handle.name())]);
        assert!(same.contains(&id.to_owned()), "{same:?}");
        let unwanted = labelled(&[(label::RUN, run), (label::SERVICE, "unwanted")]);
        assert_eq!(unwanted, Vec::<String>::new());
    }
}

#[clnrm::test]
async fn a_dependency_is_ready_before_its_dependant_starts(caller: Option<Caller>) {
    engine_or_skip!();
    let caller = caller.unwrap();
    assert!(caller.cache.container_id().is_some());
    assert!(caller.handle.health_check().await.unwrap().is_healthy());
}

#[clnrm::test]
async fn independent_services_start_together(slow: Option<Slow>, also_slow: Option<AlsoSlow>) {
    engine_or_skip!();
    let started = async |handle: &ServiceHandle| {
        let lines = handle.logs(None).await.unwrap();
        lines[0].text.parse::<i64>().unwrap()
    };
    let slow = started(&slow.unwrap()).await;
    let also_slow = started(&also_slow.unwrap()).await;
    // One after the other would be two seconds apart.
    assert!((slow - also_slow).abs() < 2, "{slow}, {also_slow}");
}
