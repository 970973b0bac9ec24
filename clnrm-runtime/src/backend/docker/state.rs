//! How a container is, in the words of the `Backend` trait.

use std::collections::BTreeMap;

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HealthStatusEnum,
};

use super::make::{LOOPBACK, port_key};
use super::prepared::{ALIAS, decode_ports};
use super::refuse::{self, About, is_gone, refuse};
use crate::backend::{Inspection, Started, State};
use crate::error::{CleanroomError, Result};
use crate::service::{Endpoint, InstanceId, Port};

/// Asks the engine. `None` is a container that does not exist.
pub(super) async fn ask(
    docker: &Docker,
    id: &InstanceId,
) -> Result<Option<ContainerInspectResponse>> {
    match refuse::ask(|| docker.inspect_container(id.as_str(), None)).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(refuse("inspect", &About::instance(id.as_str()), &error)),
    }
}

/// What a container that does not exist, or does not exist yet, looks like.
pub(super) fn without_container(state: State) -> Inspection {
    Inspection {
        state,
        pid: None,
        healthy: None,
        check: None,
        endpoints: BTreeMap::new(),
    }
}

pub(super) fn inspection(answer: &ContainerInspectResponse) -> Inspection {
    let state = answer.state.as_ref();
    Inspection {
        state: state.map_or(State::Gone, state_of),
        pid: state
            .and_then(|state| u32::try_from(state.pid?).ok())
            .filter(|pid| *pid != 0 && is_seen(*pid, answer.id.as_deref())),
        healthy: state.and_then(health_of),
        check: state.and_then(check_of),
        endpoints: endpoints(answer),
    }
}

/// Whether a pid of the engine's is that of the container here too: where the
/// engine is in another pid namespace it is somebody else's, or nobody's.
fn is_seen(pid: u32, id: Option<&str>) -> bool {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    id.is_some_and(|id| !id.is_empty() && groups.contains(id))
}

/// Where a container answers that was just started.
///
/// # Errors
/// When it runs and a port of it is not published.
pub(super) fn started(id: &InstanceId, answer: &ContainerInspectResponse) -> Result<Started> {
    let labels = labels(answer);
    let ports = decode_ports(&labels);
    let endpoints = endpoints(answer);
    let runs = answer.state.as_ref().map(state_of) == Some(State::Running);
    let missing = ports.keys().find(|name| !endpoints.contains_key(*name));
    if let (true, Some(name)) = (runs, missing) {
        return Err(CleanroomError::container_error(format!(
            "the container engine has not published port `{name}`"
        ))
        .with_context("instance", id));
    }
    Ok(Started {
        endpoints,
        inner: inner(&labels, &ports),
    })
}

fn state_of(state: &ContainerState) -> State {
    use ContainerStateStatusEnum as Status;
    let code = state.exit_code.unwrap_or_default();
    match state.status {
        Some(Status::CREATED) => State::Created,
        Some(Status::RUNNING | Status::RESTARTING | Status::STOPPING) => State::Running,
        Some(Status::PAUSED) => State::Paused,
        Some(Status::EXITED | Status::DEAD | Status::REMOVING) => State::Exited {
            code: i32::try_from(code).unwrap_or(i32::MAX),
        },
        Some(Status::EMPTY) | None => State::Gone,
    }
}

/// Paused, a container answers nobody, whatever its last check said.
fn health_of(state: &ContainerState) -> Option<bool> {
    let paused = state.status == Some(ContainerStateStatusEnum::PAUSED);
    match state.health.as_ref()?.status? {
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
        HealthStatusEnum::HEALTHY => Some(!paused),
        HealthStatusEnum::STARTING | HealthStatusEnum::UNHEALTHY => Some(false),
    }
}

/// The engine's word for a check that is not well, then what its last run gave.
fn check_of(state: &ContainerState) -> Option<String> {
    let health = state.health.as_ref()?;
    let word = health.status?;
    if !matches!(
        word,
        HealthStatusEnum::STARTING | HealthStatusEnum::UNHEALTHY
    ) {
        return None;
    }
    let Some(last) = health.log.as_ref().and_then(|log| log.last()) else {
        return Some(word.to_string());
    };
    let code = last.exit_code.unwrap_or_default();
    let output = last.output.as_deref().unwrap_or_default().trim();
    Some(match output {
        "" => format!("{word}: exit code {code}"),
        output => format!("{word}: exit code {code}: {output}"),
    })
}

fn endpoints(answer: &ContainerInspectResponse) -> BTreeMap<String, Endpoint> {
    let published = answer.network_settings.as_ref();
    let published = published.and_then(|settings| settings.ports.as_ref());
    let host_port = |port: &Port| {
        let bindings = published?.get(&port_key(port))?.as_ref()?;
        bindings
            .iter()
            .find_map(|binding| binding.host_port.as_ref()?.parse().ok())
    };
    let ports = decode_ports(&labels(answer));
    let endpoint = |(name, port): (String, Port)| {
        let endpoint = Endpoint {
            host: LOOPBACK.to_owned(),
            port: host_port(&port)?,
        };
        Some((name, endpoint))
    };
    ports.into_iter().filter_map(endpoint).collect()
}

/// As containers of the same network reach it: nowhere without a network of
/// ours, as the engine's default network resolves no names.
fn inner(
    labels: &BTreeMap<String, String>,
    ports: &BTreeMap<String, Port>,
) -> BTreeMap<String, Endpoint> {
    let Some(host) = labels.get(ALIAS) else {
        return BTreeMap::new();
    };
    let inner = ports.iter().map(|(name, port)| {
        let endpoint = Endpoint {
            host: host.clone(),
            port: port.number,
        };
        (name.clone(), endpoint)
    });
    inner.collect()
}

fn labels(answer: &ContainerInspectResponse) -> BTreeMap<String, String> {
    let config = answer.config.as_ref();
    let labels = config.and_then(|config| config.labels.clone());
    labels.unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use testcontainers::bollard::models::{Health, HealthcheckResult};

    use super::*;

    fn state(status: ContainerStateStatusEnum, health: HealthStatusEnum) -> ContainerState {
        ContainerState {
            status: Some(status),
            exit_code: Some(137),
            health: Some(Health {
                status: Some(health),
                ..Health::default()
            }),
            ..ContainerState::default()
        }
    }

    #[test]
    fn a_paused_container_is_not_healthy() {
        use ContainerStateStatusEnum::{PAUSED, RUNNING};
        use HealthStatusEnum::{HEALTHY, NONE, STARTING};
        assert_eq!(health_of(&state(RUNNING, HEALTHY)), Some(true));
        assert_eq!(health_of(&state(PAUSED, HEALTHY)), Some(false));
        assert_eq!(health_of(&state(RUNNING, STARTING)), Some(false));
        assert_eq!(health_of(&state(RUNNING, NONE)), None);
    }

    #[test]
    fn a_failed_check_says_what_it_wrote() {
        use ContainerStateStatusEnum::RUNNING;
        use HealthStatusEnum::{HEALTHY, STARTING, UNHEALTHY};
        let said = |status, output: Option<&str>| {
            let mut state = state(RUNNING, status);
            let result = output.map(|output| HealthcheckResult {
                exit_code: Some(1),
                output: Some(output.to_owned()),
                ..HealthcheckResult::default()
            });
            state.health.as_mut().unwrap().log = Some(result.into_iter().collect());
            check_of(&state)
        };
        let expected = "unhealthy: exit code 1: no such file";
        assert_eq!(said(UNHEALTHY, Some("no such file\n")).unwrap(), expected);
        assert_eq!(said(UNHEALTHY, Some("")).unwrap(), "unhealthy: exit code 1");
        assert_eq!(said(STARTING, None).unwrap(), "starting");
        assert_eq!(said(HEALTHY, Some("fine")), None);
    }

    #[test]
    fn what_has_ended_says_its_code() {
        let dead = state(ContainerStateStatusEnum::EXITED, HealthStatusEnum::NONE);
        assert_eq!(state_of(&dead), State::Exited { code: 137 });
        assert_eq!(state_of(&ContainerState::default()), State::Gone);
    }
}
