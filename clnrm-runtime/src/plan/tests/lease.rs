//! How much of an instance each test gets.

use super::*;

#[test]
fn a_url_makes_a_service_external_and_it_is_still_sliced() {
    let mut world = shop().image("db").image("cache");
    world
        .probe
        .urls
        .insert("db".to_owned(), "postgres://u:p@h/d".to_owned());
    let world = world.with("db", |db| {
        db.isolation.insert(BackendKind::External, Isolation::Slice);
    });
    assert_eq!(
        world.leases(),
        ["db slice@external", "cache slice@docker", "api own@process"]
    );
    let plan = serde_json::to_string(&world.plan()).unwrap();
    assert!(!plan.contains("u:p@h"), "the URL may hold a password");
}

#[test]
fn a_fresh_test_owns_its_whole_closure() {
    let world = shop()
        .image("db")
        .image("cache")
        .last_test(|test| test.fresh = true);
    assert_eq!(
        world.leases(),
        ["db own@docker", "cache own@docker", "api own@process"]
    );
}

#[test]
fn isolation_and_sameness_exclude_each_other_unless_shared() {
    let world = shop()
        .image("db")
        .image("cache")
        .with("api", |api| api.scope = Some(Scope::Run));
    insta::assert_snapshot!(world.error(), @r"
    `db` cannot be the test's own and also the one that the run's `api` uses
      test: shop::it t
      hint: write `#[clnrm::test(shared(db))]` to see the run's `db`, or give `api` the scope `test`
    ");
    let need = Need {
        id: id("db"),
        name: "db".to_owned(),
        optional: false,
    };
    let world = world.last_test(|test| test.shared = vec![need]);
    assert_eq!(world.leases(), ["api shared@process", "db shared@docker"]);
    let plan = world.plan();
    let run_slices: BTreeMap<_, _> = plan
        .instances
        .values()
        .map(|it| (it.name.as_str(), it.run_slice))
        .collect();
    assert_eq!(
        run_slices,
        BTreeMap::from([("api", false), ("cache", true), ("db", true)])
    );
}
