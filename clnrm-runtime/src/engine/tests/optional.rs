//! What is optional and does not start leaves the rest degraded, not failed.

use super::sketch::{implied, optional, own, service, shared, template};
use super::stage::{Stage, handle};
use crate::backend::fake::Step;
use crate::error::CleanroomError;
use crate::service::{HealthStatus, ProcessSpec, Program};

fn stage() -> Stage {
    let shop = service("shop").needs(&["db"]).needs_if_there("cache");
    let stage = Stage::new([service("db"), service("cache").attempts(1), shop]);
    stage.fails(Step::Start, "cache");
    stage
}

#[tokio::test(start_paused = true)]
async fn a_test_goes_on_without_it() {
    let stage = stage();
    for lease in [own("cache"), shared("cache")] {
        let leases = stage
            .acquire("a", [optional(lease), own("db")])
            .await
            .unwrap();
        assert!(leases.get("cache").unwrap().is_none());
        assert!(leases.get("db").unwrap().is_some());
        stage.release("a").await;
    }
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_can_run_nowhere_is_not_begun() {
    let mut cache = service("cache");
    cache.0.error = Some(CleanroomError::plan_error("no program, no image"));
    let stage = Stage::new([cache, service("db")]);
    let leases = [optional(own("cache")), own("db")];
    let leases = stage.acquire("a", leases).await.unwrap();
    assert!(leases.get("cache").unwrap().is_none());
    let error = stage.acquire("b", [own("cache")]).await.unwrap_err();
    assert_eq!(error.message(), "no program, no image");
    let calls = stage.script.calls();
    assert!(
        calls.iter().all(|call| call.service != "cache"),
        "{calls:?}"
    );
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_dependant_is_degraded_and_says_so() {
    let stage = stage();
    let below = [implied(own("db")), implied(optional(own("cache")))];
    let leases = stage
        .acquire("a", [own("shop")].into_iter().chain(below))
        .await
        .unwrap();
    let shop = handle(&leases, "shop");
    assert_eq!(shop.degraded(), Some("`shop` runs without `cache`"));
    assert_eq!(
        stage.engine.health(&shop).await.unwrap(),
        HealthStatus::Degraded("`shop` runs without `cache`".to_owned())
    );
    let attachment = leases.get("shop").unwrap().unwrap();
    let there = attachment.needs.iter();
    let there = there.map(|(field, need)| (field.as_str(), need.is_some()));
    assert_eq!(there.collect::<Vec<_>>(), [("db", true), ("cache", false)]);
    stage.release("a").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn variables_that_name_it_are_left_out() {
    let program = Program::Bin {
        package: "shop".to_owned(),
        name: "shop".to_owned(),
        path: None,
    };
    let shop = service("shop").needs(&["db"]).needs_if_there("cache");
    let shop = shop.spec(|spec| {
        let mut process = ProcessSpec::new(program);
        let both = template("{db.url},{cache.url}");
        process.env.insert("BOTH".to_owned(), both);
        process.env.insert("PORT".to_owned(), template("{port}"));
        spec.process = Some(process);
    });
    let stage = Stage::new([service("db"), service("cache").attempts(1), shop]);
    stage.fails(Step::Create, "cache");
    stage
        .acquire("a", [own("shop"), implied(own("db"))])
        .await
        .unwrap();
    let request = stage.fake.requests("shop").pop().unwrap();
    let names = |env: std::collections::BTreeMap<String, _>| env.into_keys().collect::<Vec<_>>();
    assert_eq!(names(request.spec.env), ["DB_URL"]);
    assert_eq!(names(request.spec.process.unwrap().env), ["PORT"]);
    let needs = request.needs.keys().cloned().collect::<Vec<_>>();
    assert_eq!(needs, ["db.url"]);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_starts_is_there_like_any_other() {
    let shop = service("shop").needs_if_there("cache");
    let stage = Stage::new([service("cache"), shop]);
    let shop = stage.handle("a", own("shop")).await;
    assert_eq!(shop.degraded(), None);
    assert_eq!(
        stage.engine.health(&shop).await.unwrap(),
        HealthStatus::Healthy
    );
    let request = stage.fake.requests("shop").pop().unwrap();
    assert!(request.spec.env.contains_key("CACHE_URL"));
    stage.shutdown().await;
}
