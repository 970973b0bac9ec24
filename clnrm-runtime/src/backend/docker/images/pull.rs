//! Pulls an image with progress, and gives up where nothing moves.

use std::collections::BTreeMap;
use std::time::Duration;

use docker_credential::DockerCredential;
use futures_util::{Stream, StreamExt};
use testcontainers::bollard::Docker;
use testcontainers::bollard::auth::DockerCredentials;
use testcontainers::bollard::errors::Error as EngineError;
use testcontainers::bollard::models::CreateImageInfo;
use testcontainers::bollard::query_parameters::CreateImageOptionsBuilder;
use tokio::time::{Instant, timeout_at};

use super::map::registry;
use crate::backend::docker::refuse::chain;
use crate::service::ImageRef;

/// How far the pull of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// The name that is pulled, `[images]` applied.
    pub image: String,
    /// Bytes received.
    pub done: u64,
    /// Bytes in all, as far as the registry has said; more come to light as it goes on.
    pub total: u64,
    /// Whether it is over, well or not.
    pub finished: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// How long it has taken so far.
    pub took: Duration,
}

/// How long nothing may happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until the registry says its first word.
    pub(super) first: Duration,
    /// Between two signs of life after that.
    pub(super) stall: Duration,
}

/// Pulls it, and returns the bytes received. The error is what was refused, word
/// for word.
pub(super) async fn pull(
    docker: &Docker,
    image: &ImageRef,
    patience: Patience,
    progress: &(dyn Fn(PullProgress) + Send + Sync),
) -> Result<u64, String> {
    let name = image.to_string();
    let options = CreateImageOptionsBuilder::new().from_image(&name).build();
    let credentials = credentials(registry(image)).await;
    let events = docker.create_image(Some(options), None, credentials);
    let mut state = PullProgress {
        image: name,
        done: 0,
        total: 0,
        finished: false,
        error: None,
        took: Duration::ZERO,
    };
    let begun = Instant::now();
    let outcome = follow(Box::pin(events), patience, |done, total| {
        (state.done, state.total, state.took) = (done, total, begun.elapsed());
        progress(state.clone());
    });
    let outcome = outcome.await;
    state.finished = true;
    state.took = begun.elapsed();
    state.error = outcome.as_ref().err().cloned();
    progress(state);
    outcome
}

/// Reads the engine's events to their end.
async fn follow(
    mut events: impl Stream<Item = Result<CreateImageInfo, EngineError>> + Unpin,
    patience: Patience,
    mut moved: impl FnMut(u64, u64),
) -> Result<u64, String> {
    let mut layers = Layers::default();
    let mut deadline = Instant::now() + patience.first;
    let mut silent = format!("the registry has not answered for {:?}", patience.first);
    loop {
        let event = match timeout_at(deadline, events.next()).await {
            Err(_) => return Err(silent),
            Ok(None) => return Ok(layers.done()),
            Ok(Some(event)) => event.map_err(|error| match error {
                EngineError::DockerResponseServerError { message, .. } => message,
                EngineError::DockerStreamError { error } => error,
                other => chain(&other),
            })?,
        };
        if let Some(message) = event
            .error_detail
            .as_ref()
            .and_then(|detail| detail.message.clone())
        {
            return Err(message);
        }
        // The engine repeats itself while it waits; only what is new counts.
        if layers.take(event) {
            moved(layers.done(), layers.total());
            deadline = Instant::now() + patience.stall;
            silent = format!("nothing has come for {:?}", patience.stall);
        }
    }
}

/// The layers of an image, by their ids.
#[derive(Debug, Default)]
struct Layers(BTreeMap<String, Layer>);

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Layer {
    status: String,
    done: u64,
    total: u64,
    /// How far the phase after the download is.
    unpacked: u64,
}

impl Layers {
    /// Whether the event says anything new.
    fn take(&mut self, event: CreateImageInfo) -> bool {
        let layer = self.0.entry(event.id.unwrap_or_default()).or_default();
        let before = layer.clone();
        layer.status = event.status.unwrap_or_default();
        let detail = event.progress_detail.unwrap_or_default();
        let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        let (current, total) = (bytes(detail.current), bytes(detail.total));
        match layer.status.as_str() {
            "Downloading" => {
                layer.done = current.unwrap_or(layer.done);
                layer.total = total.unwrap_or(layer.total).max(layer.done);
            }
            "Download complete" | "Pull complete" => layer.done = layer.total,
            _ => layer.unpacked = current.unwrap_or(layer.unpacked),
        }
        *layer != before
    }

    fn done(&self) -> u64 {
        self.0.values().map(|layer| layer.done).sum()
    }

    fn total(&self) -> u64 {
        self.0.values().map(|layer| layer.total).sum()
    }
}

/// What `docker login` has left for this registry, if anything.
async fn credentials(registry: String) -> Option<DockerCredentials> {
    // It reads files and runs credential helpers, which blocks.
    let ask = move || docker_credential::get_credential(&registry).map(|found| (found, registry));
    let (found, registry) = tokio::task::spawn_blocking(ask).await.ok()?.ok()?;
    let mut credentials = DockerCredentials {
        serveraddress: Some(registry),
        ..DockerCredentials::default()
    };
    match found {
        DockerCredential::IdentityToken(token) => credentials.identitytoken = Some(token),
        DockerCredential::UsernamePassword(username, password) => {
            credentials.username = Some(username);
            credentials.password = Some(password);
        }
    }
    Some(credentials)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use testcontainers::bollard::models::{ErrorDetail, ProgressDetail};
    use tokio::time::sleep_until;

    use super::*;

    const PATIENCE: Patience = Patience {
        first: Duration::from_secs(10),
        stall: Duration::from_secs(30),
    };

    fn event(id: &str, status: &str, bytes: Option<(i64, i64)>) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: bytes.map(|(current, total)| ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            error_detail: None,
        }
    }

    /// Events at their seconds.
    fn script(
        events: Vec<(u64, Result<CreateImageInfo, EngineError>)>,
    ) -> impl Stream<Item = Result<CreateImageInfo, EngineError>> + Unpin {
        let begin = Instant::now();
        Box::pin(
            stream::iter(events).then(move |(second, event)| async move {
                sleep_until(begin + Duration::from_secs(second)).await;
                event
            }),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_are_counted_over_all_layers() {
        let events = script(vec![
            (1, Ok(event("15", "Pulling from library/postgres", None))),
            (2, Ok(event("a", "Downloading", Some((10, 100))))),
            (3, Ok(event("b", "Downloading", Some((20, 50))))),
            (4, Ok(event("a", "Download complete", None))),
            (5, Ok(event("b", "Downloading", Some((50, 50))))),
            (30, Ok(event("a", "Extracting", Some((70, 200))))),
            (59, Ok(event("b", "Pull complete", None))),
        ]);
        let mut seen = Vec::new();
        let bytes = follow(events, PATIENCE, |done, total| seen.push((done, total))).await;
        assert_eq!(bytes, Ok(150));
        assert_eq!(
            seen,
            [
                (0, 0),
                (10, 100),
                (30, 150),
                (120, 150),
                (150, 150),
                (150, 150),
                (150, 150)
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_is_silent_is_given_up_early() {
        let begin = Instant::now();
        let events = script(vec![(11, Ok(event("a", "Downloading", Some((1, 2)))))]);
        let outcome = follow(events, PATIENCE, |_, _| {}).await;
        assert_eq!(
            outcome.unwrap_err(),
            "the registry has not answered for 10s"
        );
        assert_eq!(begin.elapsed(), PATIENCE.first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pull_that_only_repeats_itself_is_given_up() {
        let same = |second| (second, Ok(event("a", "Downloading", Some((1, 2)))));
        let events = script((5..100).step_by(5).map(same).collect());
        let begin = Instant::now();
        let outcome = follow(events, PATIENCE, |_, _| {}).await;
        assert_eq!(outcome.unwrap_err(), "nothing has come for 30s");
        assert_eq!(begin.elapsed(), Duration::from_secs(35));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_passed_on_word_for_word() {
        let words = "manifest for postgres:99 not found: manifest unknown";
        let status = EngineError::DockerResponseServerError {
            status_code: 404,
            message: words.to_owned(),
        };
        let outcome = follow(script(vec![(1, Err(status))]), PATIENCE, |_, _| {}).await;
        assert_eq!(outcome.unwrap_err(), words);
        let mut late = event("a", "", None);
        late.error_detail = Some(ErrorDetail {
            code: None,
            message: Some(words.to_owned()),
        });
        let outcome = follow(script(vec![(1, Ok(late))]), PATIENCE, |_, _| {}).await;
        assert_eq!(outcome.unwrap_err(), words);
    }
}
