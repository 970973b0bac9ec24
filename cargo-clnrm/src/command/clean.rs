//! `cargo clnrm clean`: removes what `--keep-failed` kept, and what runs left that were killed together with their keeper.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use clnrm_runtime::backend::Backend;
use clnrm_runtime::backend::docker::{Created, DockerBackend, Labelled};
use clnrm_runtime::cache::Cache;
use clnrm_runtime::run::{foreign_runs, kept_runs, live_runs, stale_runs};
use clnrm_runtime::service::RunId;
use clnrm_runtime::{CleanroomError, Result};
use jiff::Timestamp;

use crate::cli::CleanArgs;

/// Removes, or with `--dry-run` names, what nobody needs any more. Returns a
/// line for each. What live runs own is never touched.
///
/// # Errors
/// When something cannot be listed or removed.
pub async fn clean(args: &CleanArgs) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let engine = DockerBackend::connect().await.ok();
    for run in kept_runs()? {
        lines.push(format!("kept run {}: {}", run.id(), run.dir().display()));
        lines.extend(listed(engine.as_ref(), run.id()).await?);
        if !args.dry_run {
            run.end()?;
        }
    }
    for run in stale_runs()? {
        lines.push(format!("run {}: {}", run.id(), run.dir().display()));
        lines.extend(listed(engine.as_ref(), run.id()).await?);
        if !args.dry_run {
            if let Some(engine) = &engine {
                engine.sweep(run.id()).await?;
            }
            run.remove()?;
        }
    }
    if args.foreign {
        lines.extend(foreign(args, engine.as_ref()).await?);
    }
    if args.cache {
        let root = Cache::of_this_user()?.root().to_owned();
        if root.exists() {
            lines.push(format!("cache: {}", root.display()));
            if !args.dry_run {
                std::fs::remove_dir_all(&root).map_err(|error| {
                    CleanroomError::container_error(format!("cannot remove `{}`", root.display()))
                        .with_source(error)
                })?;
            }
        }
    }
    Ok(lines)
}

/// What the engine has of a run, moved in.
async fn listed(engine: Option<&DockerBackend>, run: &RunId) -> Result<Vec<String>> {
    let Some(engine) = engine else {
        return Ok(Vec::new());
    };
    let found = engine.list(run).await?;
    Ok(found.into_iter().map(|line| format!("  {line}")).collect())
}

/// What carries our label and is of no run that this user can tell dead, if it
/// is old enough.
async fn foreign(args: &CleanArgs, engine: Option<&DockerBackend>) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let live = live_runs()?;
    if let Some(engine) = engine {
        let found = engine.labelled().await?;
        let now = Timestamp::now();
        for (run, things) in old(&found, &live, now, args.older_than) {
            lines.push(format!("foreign run {run}"));
            lines.extend(things.iter().map(|line| format!("  {line}")));
            if !args.dry_run {
                engine.sweep(run).await?;
            }
        }
    }
    for run in foreign_runs()? {
        let age = SystemTime::now().duration_since(run.begun());
        if age.is_ok_and(|age| age >= args.older_than) {
            lines.push(format!("foreign run {}: {}", run.id(), run.dir().display()));
            if !args.dry_run {
                run.remove()?;
            }
        }
    }
    Ok(lines)
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
