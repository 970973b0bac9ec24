//! What is one instance, what is none, and what is refused.

use super::*;

#[test]
fn a_service_that_needs_itself_is_named_with_its_circle() {
    let world = World::new()
        .service("a", &["b"])
        .service("b", &["c"])
        .service("c", &["a"])
        .test("t", &["a"]);
    insta::assert_snapshot!(world.error(), @r"
    services need each other in a circle: `a` -> `b` -> `c` -> `a`
      hint: remove one of these fields, or make it a variable that the test sets
    ");
}

#[test]
fn an_unlinked_declaration_says_how_to_link_it() {
    let world = World::new()
        .service("db", &[])
        .test("t", &["db", "cache"])
        .image("db");
    insta::assert_snapshot!(world.error(), @r"
    service `cache` is not registered in `shop::it`
      declaration: shop/it/it::cache
      hint: a type is a service by `#[clnrm::service(..)]`, which declares it too; if it has that, no source names its crate, which is then not linked: add `use shop as _;` to the test's file
    ");
}

#[test]
fn two_services_of_one_name_are_refused_with_both_places() {
    let world = World::new()
        .service("db", &[])
        .service("other", &[])
        .with("other", |it| it.name = "db".to_owned());
    let world = world.test("t", &["db"]).image("db");
    insta::assert_snapshot!(world.error(), @r#"
    two services of `shop::it` are called `db`
      first: shop/it/it::db (tests/it.rs:1)
      second: shop/it/it::other (tests/it.rs:2)
      hint: give one of them a `name = "…"` of its own
    "#);
}

#[test]
fn equal_declarations_of_two_binaries_meet_in_one_instance() {
    let world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .image("db");
    let mut catalog = Catalog::default();
    catalog.add(BINARY, world.services.clone());
    catalog.add("other::it", world.services.clone());
    let mut tests = world.tests.clone();
    let mut second = tests[0].clone();
    second.test.binary = "other::it".to_owned();
    tests.push(second);
    let (probe, preference) = (&world.probe, Preference::Auto);
    let plan = plan(&PlanInput {
        tests: &tests,
        catalog: &catalog,
        probe,
        preference,
    });
    let [instance] = plan
        .instances
        .values()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!((instance.users, instance.services.len()), (2, 2));
}

/// The keys of two services that are equal but for what `change` does to the second.
fn keys_of_twins(change: impl FnOnce(&mut ServiceDescription)) -> [InstanceKey; 2] {
    let world = World::new()
        .service("a", &[])
        .service("b", &[])
        .test("t", &["a", "b"])
        .image("a");
    let twin = world.services[0].clone();
    let world = world.with("b", |it| {
        let id = it.id.clone();
        *it = ServiceDescription { id, ..twin };
        change(it);
    });
    let mut catalog = Catalog::default();
    catalog.add("first", vec![world.services[0].clone()]);
    catalog.add("second", vec![world.services[1].clone()]);
    let key = |binary, service: &ServiceDescription| {
        let closure = catalog.closure(binary, [(&service.id, service.name.as_str())]);
        closure.unwrap()[0].0.clone()
    };
    [
        key("first", &world.services[0]),
        key("second", &world.services[1]),
    ]
}

#[test]
fn what_a_declaration_says_keeps_it_apart() {
    let [one, other] = keys_of_twins(|_| ());
    assert_eq!(one, other);
    let changes: [fn(&mut ServiceDescription); 4] = [
        |it| it.name = "other".to_owned(),
        |it| it.scope = Some(Scope::Run),
        |it| it.scope = Some(Scope::Test),
        |it| it.optional = true,
    ];
    for change in changes {
        let [one, other] = keys_of_twins(change);
        assert_ne!(one, other);
    }
}

#[test]
fn equal_declarations_of_one_binary_are_two_services() {
    let world = World::new()
        .service("a", &[])
        .service("b", &[])
        .with("b", |it| it.fingerprint = "same".to_owned())
        .with("a", |it| it.fingerprint = "same".to_owned())
        .test("t", &["a", "b"])
        .image("a")
        .image("b");
    let plan = world.plan();
    let leased = plan.tests[0].leases.iter();
    assert_eq!(
        leased
            .map(|lease| lease.service.clone())
            .collect::<Vec<_>>(),
        [id("a"), id("b")]
    );
    assert_eq!(plan.instances.len(), 2);
}

#[test]
fn other_configuration_is_another_instance() {
    let key = |fingerprint: &str| {
        let world = shop()
            .image("db")
            .image("cache")
            .with("db", |db| db.fingerprint = fingerprint.to_owned());
        let plan = world.plan();
        plan.tests[0]
            .leases
            .iter()
            .map(|lease| lease.key.clone())
            .collect::<Vec<_>>()
    };
    let (one, other) = (key("a"), key("b"));
    // The cache is the same; the database differs, and with it the API that needs it.
    assert_eq!(
        one.iter()
            .zip(&other)
            .map(|(a, b)| a == b)
            .collect::<Vec<_>>(),
        [false, true, false]
    );
}

#[test]
fn what_no_test_needs_is_not_in_the_plan() {
    let world = World::new()
        .service("db", &[])
        .service("cache", &[])
        .test("t", &["db"])
        .image("db")
        .image("cache");
    let plan = world.plan();
    assert_eq!(
        plan.instances
            .values()
            .map(|it| it.name.as_str())
            .collect::<Vec<_>>(),
        ["db"]
    );
}

#[test]
fn a_wrong_declaration_fails_the_tests_that_need_it_and_no_other() {
    let world = World::new()
        .service("db", &[])
        .service("cache", &[])
        .image("db")
        .image("cache");
    let world = world.with("cache", |it| {
        it.error = Some(CleanroomError::validation_error("bad"))
    });
    let world = world.test("a", &["cache"]).test("b", &["db"]);
    let plan = world.plan();
    assert_eq!(
        plan.tests[0].error.as_ref().map(|error| error.message()),
        Some("bad")
    );
    assert!(plan.tests[1].error.is_none());
}

#[test]
fn containers_that_talk_to_containers_are_on_a_network() {
    let world = World::new()
        .service("db", &[])
        .service("ui", &["db"])
        .service("lone", &[]);
    let world = world
        .image("db")
        .image("ui")
        .image("lone")
        .test("t", &["ui", "lone"]);
    let plan = world.plan();
    let networked: BTreeMap<_, _> = plan
        .instances
        .values()
        .map(|it| (it.name.as_str(), it.networked))
        .collect();
    assert_eq!(
        networked,
        BTreeMap::from([("db", true), ("lone", false), ("ui", true)])
    );
}
