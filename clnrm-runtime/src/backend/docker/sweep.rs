//! Finds and removes by label what a run or an attempt has left on an engine.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as EngineError;
use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveVolumeOptionsBuilder,
};
use tokio::time::Instant;

use super::refuse::{self, About, is_conflict, is_gone, refuse};
use super::stop::remove_container;
use crate::error::{CleanroomError, Result};
use crate::label::{RUN, SERVICE};
use crate::service::RunId;
use crate::wait::backoff::rest;

/// A killed client's request may make a container this much later.
const LATE: Duration = Duration::from_millis(500);

/// How long a sweep goes on while something refuses to be removed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long it does where somebody waits for another thing.
pub(super) const HASTE: Duration = Duration::from_secs(2);

/// Requests at a time: the engine serves them side by side, but not all at once.
const AT_ONCE: usize = 16;

/// What a listing keeps: things with all of these labels.
#[derive(Debug, Clone)]
pub(super) struct Filter(Vec<String>);

impl Filter {
    pub(super) fn label(key: &str, value: &str) -> Self {
        Self(vec![format!("{key}={value}")])
    }

    /// Everything of a run.
    pub(super) fn run(run: &RunId) -> Self {
        Self::label(RUN, run.as_str())
    }

    /// Everything of every run.
    fn any_run() -> Self {
        Self(vec![RUN.to_owned()])
    }

    fn query(&self) -> HashMap<String, Vec<String>> {
        HashMap::from([("label".to_owned(), self.0.clone())])
    }
}

/// A thing on an engine, with a line for people.
#[derive(Debug)]
struct Thing {
    kind: Kind,
    id: String,
    line: String,
    run: Option<String>,
    created: Option<Created>,
}

/// When a thing on an engine was made, as the engine says it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Created {
    /// Seconds since 1970.
    Seconds(i64),
    /// RFC 3339.
    Text(String),
}

/// A thing on an engine that carries the label of some run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The run.
    pub run: RunId,
    /// A line for people.
    pub line: String,
    /// When it was made, if the engine says so.
    pub created: Option<Created>,
}

/// Lists what carries the label of any run, here or elsewhere.
pub(super) async fn labelled(docker: &Docker) -> Result<Vec<Labelled>> {
    let found = find(docker, &Filter::any_run()).await?;
    let mut labelled: Vec<_> = found
        .into_iter()
        .filter_map(|thing| {
            Some(Labelled {
                run: RunId::new(thing.run?),
                line: thing.line,
                created: thing.created,
            })
        })
        .collect();
    labelled.sort_by(|one, other| (&one.run, &one.line).cmp(&(&other.run, &other.line)));
    Ok(labelled)
}

/// A time of the engine's, whatever type the client has for it here: in JSON it is text.
fn time(time: &impl serde::Serialize) -> Option<Created> {
    let time = serde_json::to_value(time).ok()?;
    Some(Created::Text(time.as_str()?.to_owned()))
}

fn run_of(labels: Option<&HashMap<String, String>>) -> Option<String> {
    labels?.get(RUN).cloned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Container,
    Network,
    Volume,
}

/// Lists what is there, one line each, in a stable order.
pub(super) async fn list(docker: &Docker, filter: &Filter) -> Result<Vec<String>> {
    let found = find(docker, filter).await?;
    let mut lines: Vec<String> = found.into_iter().map(|thing| thing.line).collect();
    lines.sort();
    Ok(lines)
}

/// Removes what is there until two listings in a row, half a second apart, are
/// empty. Returns what was found.
///
/// # Errors
/// When the engine does not answer, or something is still there after `patience`.
pub(super) async fn until_empty(
    docker: &Docker,
    filter: &Filter,
    patience: Duration,
) -> Result<Vec<String>> {
    let mut stuck_since: Option<Instant> = None;
    let mut there = usize::MAX;
    let mut lines: Vec<String> = Vec::new();
    let mut was_empty = false;
    loop {
        let found = find(docker, filter).await?;
        if found.is_empty() {
            if was_empty {
                lines.sort();
                return Ok(lines);
            }
            was_empty = true;
            rest(LATE).await;
            continue;
        }
        was_empty = false;
        let before = lines.len();
        for thing in &found {
            if !lines.contains(&thing.line) {
                lines.push(thing.line.clone());
            }
        }
        let goes_on = lines.len() > before || found.len() < there;
        there = found.len();
        let refused = remove(docker, &found).await;
        if goes_on {
            stuck_since = None;
        }
        // What is still there was not removed, whatever the engine said to it.
        if !goes_on || !refused.is_empty() {
            if stuck_since.get_or_insert_with(Instant::now).elapsed() > patience {
                return Err(given_up(patience, &found, &refused));
            }
            rest(LATE).await;
        }
    }
}

/// Removes what is there now, once.
pub(super) async fn once(docker: &Docker, filter: &Filter) -> Result<()> {
    let found = find(docker, filter).await?;
    told(&remove(docker, &found).await)
}

/// Removes the volumes alone.
pub(super) async fn remove_volumes(docker: &Docker, filter: &Filter) -> Result<()> {
    let mut found = find(docker, filter).await?;
    found.retain(|thing| thing.kind == Kind::Volume);
    told(&remove(docker, &found).await)
}

async fn find(docker: &Docker, filter: &Filter) -> Result<Vec<Thing>> {
    let failed = |error| refuse("list what is left", &About::default(), &error);
    let query = filter.query();
    let containers = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&query)
        .build();
    let networks = ListNetworksOptionsBuilder::new().filters(&query).build();
    let volumes = ListVolumesOptionsBuilder::new().filters(&query).build();
    let (containers, networks, volumes) = tokio::try_join!(
        refuse::ask(|| docker.list_containers(Some(containers.clone()))),
        docker.list_networks(Some(networks)),
        docker.list_volumes(Some(volumes)),
    )
    .map_err(failed)?;
    let containers = containers.into_iter().filter_map(|container| {
        let name = container.names.unwrap_or_default().into_iter().next();
        let id = container.id?;
        let name = name
            .as_deref()
            .map_or(id.as_str(), |name| name.trim_start_matches('/'));
        let line = line("container", name, container.labels.as_ref());
        Some(Thing {
            kind: Kind::Container,
            line,
            run: run_of(container.labels.as_ref()),
            created: container.created.map(Created::Seconds),
            id,
        })
    });
    let networks = networks.into_iter().filter_map(|network| {
        let name = network.name.clone().unwrap_or_default();
        let line = line("network", &name, network.labels.as_ref());
        let raw = serde_json::to_value(&network).ok();
        Some(Thing {
            kind: Kind::Network,
            line,
            run: run_of(network.labels.as_ref()),
            created: raw.and_then(|raw| time(raw.get("Created")?)),
            id: network.id?,
        })
    });
    let volumes = volumes
        .volumes
        .unwrap_or_default()
        .into_iter()
        .map(|volume| {
            let raw = serde_json::to_value(&volume).ok();
            Thing {
                kind: Kind::Volume,
                line: line("volume", &volume.name, Some(&volume.labels)),
                run: run_of(Some(&volume.labels)),
                created: raw.and_then(|raw| time(raw.get("CreatedAt")?)),
                id: volume.name,
            }
        });
    Ok(containers.chain(networks).chain(volumes).collect())
}

fn line(kind: &str, name: &str, labels: Option<&HashMap<String, String>>) -> String {
    match labels.and_then(|labels| labels.get(SERVICE)) {
        Some(service) => format!("{kind} {name} ({service})"),
        None => format!("{kind} {name}"),
    }
}

/// What was not removed, and the engine's answer.
#[derive(Debug)]
struct Refused<'a> {
    thing: &'a Thing,
    error: EngineError,
}

impl Refused<'_> {
    /// Whether somebody else removes it now; a later listing tells.
    fn is_busy(&self) -> bool {
        self.thing.kind == Kind::Container && is_conflict(&self.error)
    }

    fn told(&self) -> CleanroomError {
        let action = format!("remove {}", self.thing.line);
        refuse(&action, &About::default(), &self.error)
    }
}

/// The first error of a single try, where nobody else does the work.
fn told(refused: &[Refused<'_>]) -> Result<()> {
    let first = refused.iter().find(|refused| !refused.is_busy());
    first.map_or(Ok(()), |refused| Err(refused.told()))
}

/// The error of a sweep that has tried for long enough.
fn given_up(patience: Duration, found: &[Thing], refused: &[Refused<'_>]) -> CleanroomError {
    let is_hard = |refused: &&Refused<'_>| !refused.is_busy();
    let first = refused.iter().find(is_hard).or(refused.first());
    let error = match first {
        Some(refused) => refused.told(),
        None => CleanroomError::container_error("what was removed is still there"),
    };
    let left: Vec<_> = found.iter().map(|thing| thing.line.as_str()).collect();
    let error = error
        .with_context("left", left.join("\n"))
        .with_context("tried for", format!("{patience:?}"));
    match first {
        Some(refused) if !refused.is_busy() => error,
        // An engine that has lost track of a removal says so for ever.
        _ => error.with_hint(
            "look at the engine's own log and restart it, which ends what it began to remove; \
             then run `cargo clnrm clean`",
        ),
    }
}

/// Containers first, as they use the rest; each kind side by side.
async fn remove<'a>(docker: &Docker, found: &'a [Thing]) -> Vec<Refused<'a>> {
    let mut refused = Vec::new();
    for kind in [Kind::Container, Kind::Network, Kind::Volume] {
        let mut removals = Vec::new();
        for thing in found {
            if thing.kind == kind {
                removals.push(async move { (thing, remove_one(docker, thing).await) });
            }
        }
        let mut removals = stream::iter(removals).buffer_unordered(AT_ONCE);
        while let Some((thing, outcome)) = removals.next().await {
            if let Err(error) = outcome {
                refused.push(Refused { thing, error });
            }
        }
    }
    refused
}

async fn remove_one(docker: &Docker, thing: &Thing) -> Result<(), EngineError> {
    let outcome = match thing.kind {
        Kind::Container => remove_container(docker, &thing.id).await,
        Kind::Network => docker.remove_network(&thing.id).await,
        Kind::Volume => {
            let options = RemoveVolumeOptionsBuilder::new().force(true).build();
            docker.remove_volume(&thing.id, Some(options)).await
        }
    };
    match outcome {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests;
