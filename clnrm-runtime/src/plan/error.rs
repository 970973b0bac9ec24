//! What can be wrong with a plan, worded for the person who reads it.

use std::collections::BTreeMap;

use super::{
    EngineProbe, ImageProbe, Preference, Probe, ProgramProbe, ServiceDescription, program_key,
};
use crate::error::CleanroomError;
use crate::service::{ServiceId, TestId};

/// Where one backend is asked for.
const ASKED: &str = "(`--backend`, `CLNRM_BACKEND`, or `backend` in clnrm.toml)";

/// A test names a declaration that its binary does not have.
pub(super) fn unknown(name: &str, id: &ServiceId, binary: &str) -> CleanroomError {
    let package = id
        .as_str()
        .split('/')
        .next()
        .unwrap_or_default()
        .replace('-', "_");
    CleanroomError::plan_error(format!("service `{name}` is not registered in `{binary}`"))
        .with_context("declaration", id)
        .with_hint(format!(
            "a type is a service by `#[clnrm::service(..)]`, which declares it too; if it has that, no source names its crate, which is then not linked: add `use {package} as _;` to the test's file"
        ))
}

/// Declarations that need each other in a circle.
pub(super) fn cycle(names: &[String]) -> CleanroomError {
    let path = names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" -> ");
    CleanroomError::plan_error(format!("services need each other in a circle: {path}"))
        .with_hint("remove one of these fields, or make it a variable that the test sets")
}

/// Two declarations of one binary with one name.
pub(super) fn duplicate(
    first: &ServiceDescription,
    second: &ServiceDescription,
    binary: &str,
) -> CleanroomError {
    CleanroomError::plan_error(format!(
        "two services of `{binary}` are called `{}`",
        first.name
    ))
    .with_context("first", format!("{} ({})", first.id, first.location))
    .with_context("second", format!("{} ({})", second.id, second.location))
    .with_hint("give one of them a `name = \"…\"` of its own")
}

/// A container that would have to reach a process on loopback.
pub(super) fn unreachable_process(container: &str, process: &str) -> CleanroomError {
    CleanroomError::plan_error(format!(
        "container `{container}` would depend on `{process}`, a process of this machine that it cannot reach"
    ))
    .with_hint(format!(
        "give `{process}` an `image`, or `{container}` a `program`, so that both run on one backend"
    ))
}

/// Nothing that can run the service.
pub(super) fn nowhere(
    service: &ServiceDescription,
    probe: &Probe,
    preference: Preference,
) -> CleanroomError {
    let mut error =
        CleanroomError::plan_error(format!("service `{}` cannot run here", service.name))
            .with_context("declared at", &service.location);
    let mut fixes = Vec::new();
    let spec = service.spec.as_ref();
    let has_image = spec.is_some_and(|spec| spec.container.is_some());
    match spec.and_then(|spec| spec.container.as_ref()) {
        None => error = error.with_context("docker", "it has no image"),
        Some(_) if preference == Preference::Process => {
            error = error.with_context("docker", format!("processes are asked for {ASKED}"));
            fixes.push("do not ask for processes".to_owned());
        }
        Some(container) => {
            let image = container.image.to_string();
            let (tried, fix) = why_no_container(&image, probe);
            error = error.with_context("docker", tried);
            fixes.extend(fix);
        }
    }
    match spec.and_then(|spec| spec.process.as_ref()) {
        None => {
            error = error.with_context("process", "it has no program");
            if preference == Preference::Process {
                fixes.insert(0, "give it a `program`".to_owned());
            }
        }
        Some(_) if preference == Preference::Docker && has_image => {
            error = error.with_context("process", format!("containers are asked for {ASKED}"));
        }
        Some(process) => match probe.programs.get(&program_key(&process.program)) {
            Some(ProgramProbe::Missing { tried, hint }) => {
                error = error.with_context(
                    "process",
                    format!("{} was not found\n{}", process.program, tried.join("\n")),
                );
                fixes.push(hint.clone());
            }
            Some(ProgramProbe::Found { .. }) => {}
            None => {
                error =
                    error.with_context("process", format!("{} was not looked for", process.program))
            }
        },
    }
    if fixes.is_empty() {
        fixes.push("give it an `image` or a `program`".to_owned());
    }
    error.with_hint(fixes.join("; or "))
}

/// Why a service with an image gets no container, and what would change that.
pub(super) fn why_no_container(image: &str, probe: &Probe) -> (String, Option<String>) {
    match &probe.engine {
        EngineProbe::Silent { reason } => (
            reason.clone(),
            Some("start a Docker or Podman engine, or set `DOCKER_HOST`".to_owned()),
        ),
        EngineProbe::Answers { local: false, .. } => (
            "the engine is not on this machine, so its ports are not on loopback".to_owned(),
            Some("use an engine of this machine".to_owned()),
        ),
        EngineProbe::NotAsked => ("no engine was asked".to_owned(), None),
        EngineProbe::Answers { .. } => match probe.images.get(image) {
            Some(ImageProbe::Missing { name, reason }) => (
                format!("image `{name}` is not local: {reason}"),
                Some(format!(
                    "run `docker pull {name}`, or map `{image}` in `[images]` of clnrm.toml"
                )),
            ),
            Some(ImageProbe::Present { name, .. }) => (format!("image `{name}` is local"), None),
            None => (format!("image `{image}` was not looked for"), None),
        },
    }
}

/// A test that names a service twice over: as its own, and through one of the run.
pub(super) fn isolation_or_sameness(
    service: &str,
    dependant: &str,
    test: &TestId,
) -> CleanroomError {
    let parameter = service.replace('-', "_");
    CleanroomError::plan_error(format!(
        "`{service}` cannot be the test's own and also the one that the run's `{dependant}` uses"
    ))
    .with_context("test", test)
    .with_hint(format!(
        "write `#[clnrm::test(shared({parameter}))]` to see the run's `{service}`, or give `{dependant}` the scope `test`"
    ))
}

/// `shared(..)` of something that the test does not use.
pub(super) fn shares_nothing(service: &str, test: &TestId) -> CleanroomError {
    CleanroomError::plan_error(format!(
        "`shared({service})` names a service that the test does not use"
    ))
    .with_context("test", test)
    .with_hint("remove it, or name the service in the signature")
}

/// The first description of each name, or the error of the second.
pub(super) fn unique_names(
    services: &[ServiceDescription],
    binary: &str,
) -> Result<(), CleanroomError> {
    let mut seen = BTreeMap::new();
    for service in services {
        if let Some(first) = seen.insert(service.name.as_str(), service) {
            return Err(duplicate(first, service, binary));
        }
    }
    Ok(())
}
