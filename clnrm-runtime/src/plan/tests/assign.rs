//! Which backend each service gets, and why.

use super::*;

#[test]
fn images_that_are_local_become_containers_and_are_sliced() {
    let world = shop()
        .image("db")
        .image("cache")
        .installed("db")
        .installed("cache");
    assert_eq!(
        world.leases(),
        ["db slice@docker", "cache slice@docker", "api own@process"]
    );
}

#[test]
fn without_an_image_the_whole_closure_becomes_processes() {
    let world = shop()
        .image("db")
        .no_image("cache")
        .installed("db")
        .installed("cache");
    assert_eq!(
        world.leases(),
        ["db own@process", "cache own@process", "api own@process"]
    );
}

#[test]
fn what_has_no_way_in_common_is_mixed_as_it_can_be_had() {
    let world = shop()
        .image("db")
        .no_image("cache")
        .not_installed("db")
        .installed("cache");
    assert_eq!(
        world.leases(),
        ["db slice@docker", "cache own@process", "api own@process"]
    );
}

#[test]
fn a_container_never_depends_on_a_local_process() {
    let world = World::new()
        .service("db", &[])
        .service("ui", &["db"])
        .test("t", &["ui"]);
    let world = world
        .image("ui")
        .no_image("db")
        .installed("db")
        .installed("ui");
    assert_eq!(world.leases(), ["db own@process", "ui own@process"]);
    let world = world.not_installed("ui");
    insta::assert_snapshot!(world.error(), @r"
    container `ui` would depend on `db`, a process of this machine that it cannot reach
      hint: give `db` an `image`, or `ui` a `program`, so that both run on one backend
    ");
}

#[test]
fn what_can_run_nowhere_lists_everything_that_was_tried() {
    let world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .no_image("db")
        .not_installed("db");
    insta::assert_snapshot!(world.error(), @r"
    service `db` cannot run here
      declared at: tests/it.rs:1
      docker: image `db:1` is not local: no such host
      process: program `db` was not found
        PATH
        the cache
      hint: run `docker pull db:1`, or map `db:1` in `[images]` of clnrm.toml; or run `cargo clnrm fetch db`
    ");
}

#[test]
fn without_an_engine_the_reason_says_so() {
    let mut world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .installed("db");
    world.probe.engine = EngineProbe::Silent {
        reason: "no engine answers: no socket at `/nonexistent`".to_owned(),
    };
    let plan = world.plan();
    let reason = &plan.instances.values().next().unwrap().reason;
    assert_eq!(
        reason,
        "`/usr/bin/x` 1.2 (PATH); no container, as no engine answers: no socket at `/nonexistent`"
    );
}

#[test]
fn a_remote_engine_is_not_used() {
    let mut world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .image("db")
        .installed("db");
    world.probe.engine = EngineProbe::Answers {
        version: "docker".to_owned(),
        local: false,
    };
    assert_eq!(world.leases(), ["db own@process"]);
}

#[test]
fn asked_for_containers_nothing_with_an_image_becomes_a_process() {
    let mut world = World::new()
        .service("db", &[])
        .test("t", &["db"])
        .no_image("db")
        .installed("db");
    world.preference = Preference::Docker;
    insta::assert_snapshot!(world.error(), @r"
    service `db` cannot run here
      declared at: tests/it.rs:1
      docker: image `db:1` is not local: no such host
      process: containers are asked for (`--backend`, `CLNRM_BACKEND`, or `backend` in clnrm.toml)
      hint: run `docker pull db:1`, or map `db:1` in `[images]` of clnrm.toml
    ");
}

#[test]
fn asked_for_processes_a_service_without_a_program_says_who_asked() {
    let mut world = World::new().service("db", &[]).test("t", &["db"]);
    world = world.with("db", |it| {
        let spec = it.spec.as_mut().unwrap();
        spec.process = None;
    });
    world.probe.engine = EngineProbe::NotAsked;
    world.preference = Preference::Process;
    insta::assert_snapshot!(world.error(), @r"
    service `db` cannot run here
      declared at: tests/it.rs:1
      docker: processes are asked for (`--backend`, `CLNRM_BACKEND`, or `backend` in clnrm.toml)
      process: it has no program
      hint: give it a `program`; or do not ask for processes
    ");
}
