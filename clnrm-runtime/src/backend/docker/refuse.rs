//! Errors of what an engine did not do: for which service, why, in which words, and what to do.

use std::error::Error as _;
use std::time::Duration;

use testcontainers::bollard::errors::Error as EngineError;
use tokio::time::Instant;

use super::refusal::Refusal;
use crate::error::CleanroomError;
use crate::wait::backoff::Backoff;

/// How long a container may be between two states.
const BETWEEN_STATES: Duration = Duration::from_secs(5);

/// The service that something is done for, as errors name it.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) service: Option<String>,
    pub(super) image: Option<String>,
    pub(super) instance: Option<String>,
}

impl About {
    pub(super) fn instance(id: &str) -> Self {
        Self {
            instance: Some(id.to_owned()),
            ..Self::default()
        }
    }
}

/// The error of something that the engine did not do: `cannot start service `db`: …`.
pub(super) fn refuse(action: &str, about: &About, error: &EngineError) -> CleanroomError {
    let refusal = Refusal::of(error);
    let said = match error {
        EngineError::DockerResponseServerError { message, .. } => message.clone(),
        other => chain(other),
    };
    let what = match &about.service {
        Some(service) => format!("cannot {action} service `{service}`"),
        None => format!("cannot {action}"),
    };
    let why = refusal.message(about).unwrap_or_else(|| said.clone());
    let mut built = CleanroomError::container_error(format!("{what}: {why}"));
    for (key, value) in [
        ("service", &about.service),
        ("image", &about.image),
        ("instance", &about.instance),
    ] {
        if let Some(value) = value {
            built = built.with_context(key, value);
        }
    }
    if let Refusal::PortTaken(Some(port)) = refusal {
        built = built.with_context("port", port);
    }
    if !said.trim().is_empty() {
        built = built.with_context("engine", said.trim());
    }
    match refusal.hint(about) {
        Some(hint) => built.with_hint(hint),
        None => built,
    }
}

/// Everything an error and those beneath it say.
pub(super) fn chain(error: &EngineError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = error.source();
    }
    text
}

/// Asks again while Podman answers with a state that bollard does not know:
/// `stopped`, for the moment between the end of a container and its clean-up.
pub(super) async fn ask<T, F>(question: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    let begin = Instant::now();
    let mut backoff = Backoff::new();
    loop {
        match question().await {
            Err(EngineError::JsonDataError { message, .. })
                if message.contains("unknown variant `stopped`")
                    && begin.elapsed() < BETWEEN_STATES => {}
            answer => return answer,
        }
        backoff.pause().await;
    }
}

/// Whether the engine says that there is no such thing.
pub(super) fn is_gone(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}

/// Whether the engine says that this cannot be done in the state that it is in.
/// Podman has words for that and no status.
pub(super) fn is_conflict(error: &EngineError) -> bool {
    match error {
        EngineError::DockerResponseServerError {
            status_code,
            message,
        } => *status_code == 409 || message.contains("container state improper"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_how_to_make_room() {
        let answer = EngineError::DockerResponseServerError {
            status_code: 500,
            message: "mkdir /var/lib/docker/overlay2/ab12-init: no space left on device".to_owned(),
        };
        let about = About {
            service: Some("db".to_owned()),
            image: Some("postgres:15".to_owned()),
            instance: None,
        };
        insta::assert_snapshot!(refuse("start", &about, &answer), @r"
        cannot start service `db`: the container engine has no space left
          service: db
          image: postgres:15
          engine: mkdir /var/lib/docker/overlay2/ab12-init: no space left on device
          hint: make room: `docker system df` says what takes it, `docker system prune` removes what is unused
        ");
    }

    #[test]
    fn podmans_words_for_a_wrong_state_are_a_conflict() {
        let answer = |status_code, message: &str| EngineError::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        };
        let podman =
            "can only kill running containers. ab12 is in state exited: container state improper";
        assert!(is_conflict(&answer(500, podman)));
        assert!(is_conflict(&answer(409, "Container ab12 is not running")));
        assert!(!is_conflict(&answer(500, "out of memory")));
    }

    fn between_states() -> EngineError {
        EngineError::JsonDataError {
            message: "unknown variant `stopped`, expected one of ``, `created`".to_owned(),
            column: 209,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_between_two_states_is_asked_again_for_a_while() {
        let begin = Instant::now();
        let question = || async {
            match begin.elapsed() < Duration::from_secs(1) {
                true => Err(between_states()),
                false => Ok("exited"),
            }
        };
        assert_eq!(ask(question).await.unwrap(), "exited");
        let begin = Instant::now();
        let never = || async { Err::<(), _>(between_states()) };
        assert!(ask(never).await.is_err());
        assert!(begin.elapsed() < BETWEEN_STATES * 2);
    }
}
