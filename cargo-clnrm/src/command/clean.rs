//! `cargo clnrm clean`: removes what `--keep-failed` kept, and what runs left that were killed together with their keeper.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use clnrm_runtime::backend::Backend;
use clnrm_runtime::backend::docker::{Created, DockerBackend, Labelled};
use clnrm_runtime::cache::Cache;
use clnrm_runtime::run::{
    EngineMark, foreign_runs, kept_runs, live_runs, stale_runs, unbegun_runs,
};
use clnrm_runtime::service::RunId;
use clnrm_runtime::{CleanroomError, Result};
use jiff::Timestamp;

use crate::cli::CleanArgs;

/// Removes, or with `--dry-run` names, what nobody needs any more, and tells a
/// line for each. What live runs own is never touched.
///
/// # Errors
/// When something cannot be listed or removed.
pub async fn clean(args: &CleanArgs, mut tell: impl FnMut(String)) -> Result<()> {
    let engine = DockerBackend::connect().await;
    for run in kept_runs()? {
        tell(format!("kept run {}: {}", run.id(), run.dir().display()));
        listed(engine.as_ref().ok(), run.id(), &mut tell).await?;
        if !args.dry_run {
            run.end()?;
        }
    }
    let mut out_of_reach = Vec::new();
    let here = engine.as_ref().ok().map(DockerBackend::mark);
    for run in stale_runs()? {
        if let Some(mark) = run.engine()
            && !here.as_ref().is_some_and(|here| here.is(&mark))
        {
            out_of_reach.push((run.id().clone(), mark));
            continue;
        }
        tell(format!("run {}: {}", run.id(), run.dir().display()));
        listed(engine.as_ref().ok(), run.id(), &mut tell).await?;
        if !args.dry_run {
            if let Ok(engine) = &engine {
                engine.sweep(run.id()).await?;
            }
            run.remove()?;
        }
    }
    for run in unbegun_runs()? {
        tell(format!("run {}: {}", run.id(), run.dir().display()));
        if !args.dry_run {
            run.remove()?;
        }
    }
    if args.foreign {
        foreign(args, engine.as_ref().ok(), &mut tell).await?;
    }
    if args.cache {
        let cache = Cache::of_this_user()?;
        if cache.root().exists() {
            unused()?;
            tell(format!("cache: {}", cache.root().display()));
            if !args.dry_run {
                cache.clear()?;
            }
        }
    }
    if out_of_reach.is_empty() {
        return Ok(());
    }
    Err(left_elsewhere(&out_of_reach, engine))
}

/// The error of a clean that cannot reach the engine that runs were on.
fn left_elsewhere(runs: &[(RunId, EngineMark)], engine: Result<DockerBackend>) -> CleanroomError {
    let runs = runs
        .iter()
        .map(|(run, mark)| format!("{run} at {}", mark.address));
    let error = |why: &str| {
        CleanroomError::container_error(format!(
            "what killed runs had on an engine cannot be removed: {why}"
        ))
        .with_context("runs", runs.clone().collect::<Vec<_>>().join("\n"))
        .with_hint("start that engine, set `DOCKER_HOST` to where it answers, and run this again")
    };
    match engine {
        Ok(here) => error("another engine answers").with_context("engine", here.address()),
        // Its hint is for a run, which could do without an engine.
        Err(cause) => error("no engine answers")
            .with_context("tried", cause.context("tried").unwrap_or(cause.message())),
    }
}

/// That no run lives, which would miss what is in the cache.
fn unused() -> Result<()> {
    match live_runs()?.as_slice() {
        [] => Ok(()),
        live => Err(CleanroomError::validation_error(
            "the cache is in use: a run may need the programs in it",
        )
        .with_context(
            "runs",
            live.iter()
                .map(RunId::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        )
        .with_hint("wait until they have ended, and run this again")),
    }
}

/// What the engine has of a run, moved in.
async fn listed(
    engine: Option<&DockerBackend>,
    run: &RunId,
    mut tell: impl FnMut(String),
) -> Result<()> {
    if let Some(engine) = engine {
        let found = engine.list(run).await?;
        found.into_iter().for_each(|line| tell(format!("  {line}")));
    }
    Ok(())
}

/// What carries our label and is of no run that this user can tell dead, if it
/// is old enough.
async fn foreign(
    args: &CleanArgs,
    engine: Option<&DockerBackend>,
    mut tell: impl FnMut(String),
) -> Result<()> {
    let live = live_runs()?;
    if let Some(engine) = engine {
        let found = engine.labelled().await?;
        let now = Timestamp::now();
        for (run, things) in old(&found, &live, now, args.older_than) {
            tell(format!("foreign run {run}"));
            things.iter().for_each(|line| tell(format!("  {line}")));
            if !args.dry_run {
                engine.sweep(run).await?;
            }
        }
    }
    for run in foreign_runs()? {
        let age = SystemTime::now().duration_since(run.begun());
        if age.is_ok_and(|age| age >= args.older_than) {
            tell(format!("foreign run {}: {}", run.id(), run.dir().display()));
            if !args.dry_run {
                run.remove()?;
            }
        }
    }
    Ok(())
}

/// The runs that do not live here and of which nothing is younger than `age`,
/// nor of an age that the engine does not say.
fn old<'a>(
    found: &'a [Labelled],
    live: &[RunId],
    now: Timestamp,
    age: Duration,
) -> BTreeMap<&'a RunId, Vec<&'a str>> {
    let mut runs: BTreeMap<&RunId, Vec<&str>> = BTreeMap::new();
    for thing in found.iter().filter(|thing| !live.contains(&thing.run)) {
        runs.entry(&thing.run).or_default().push(&thing.line);
    }
    for thing in found {
        let created = match &thing.created {
            Some(Created::Seconds(seconds)) => Timestamp::from_second(*seconds).ok(),
            Some(Created::Text(text)) => text.parse().ok(),
            _ => None,
        };
        let is_old = created.is_some_and(|created: Timestamp| {
            now.duration_since(created).unsigned_abs() >= age && created < now
        });
        if !is_old {
            runs.remove(&thing.run);
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_and_of_no_live_run_is_foreign() {
        let thing = |run: &str, line: &str, created| Labelled {
            run: RunId::new(run),
            line: line.to_owned(),
            created,
        };
        let at = |text: &str| Some(Created::Text(text.to_owned()));
        let now: Timestamp = "2026-01-10T12:00:00Z".parse().unwrap();
        let yesterday = Some(Created::Seconds(now.as_second() - 25 * 3600));
        let found = [
            thing("dead", "container a", yesterday.clone()),
            thing(
                "dead",
                "network b",
                at("2026-01-09T10:00:00.123456789+01:00"),
            ),
            thing("live", "container c", yesterday.clone()),
            thing("busy", "container d", yesterday),
            thing("busy", "container e", at("2026-01-10T11:59:00Z")),
            thing("odd", "volume f", None),
            thing("ahead", "volume g", at("2027-01-01T00:00:00Z")),
        ];
        let live = [RunId::new("live")];
        let old = old(&found, &live, now, Duration::from_secs(24 * 3600));
        let dead = RunId::new("dead");
        assert_eq!(
            old,
            BTreeMap::from([(&dead, vec!["container a", "network b"])])
        );
    }
}
