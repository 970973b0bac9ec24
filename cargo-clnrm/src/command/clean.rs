//! `cargo clnrm clean`: removes what `--keep-failed` kept, and what runs left that were killed together with their keeper.

use clnrm_runtime::Result;
use clnrm_runtime::backend::Backend;
use clnrm_runtime::backend::docker::DockerBackend;
use clnrm_runtime::cache::Cache;
use clnrm_runtime::run::{kept_runs, stale_runs};

use crate::cli::CleanArgs;

/// Removes, or with `--dry-run` names, what is stale. Returns a line for each.
/// What live runs own is never touched.
///
/// # Errors
/// When something cannot be listed or removed.
pub async fn clean(args: &CleanArgs) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for run in kept_runs()? {
        lines.push(format!("kept run {}: {}", run.id(), run.dir().display()));
        if !args.dry_run {
            run.end()?;
        }
    }
    let engine = DockerBackend::connect().await.ok();
    for run in stale_runs()? {
        lines.push(format!("run {}: {}", run.id(), run.dir().display()));
        if let Some(engine) = &engine {
            let found = if args.dry_run {
                engine.list(run.id()).await?
            } else {
                engine.sweep(run.id()).await?
            };
            lines.extend(found.into_iter().map(|line| format!("  {line}")));
        }
        if !args.dry_run {
            run.remove()?;
        }
    }
    if args.cache {
        let root = Cache::of_this_user()?.root().to_owned();
        if root.exists() {
            lines.push(format!("cache: {}", root.display()));
            if !args.dry_run {
                std::fs::remove_dir_all(&root).map_err(|error| {
                    clnrm_runtime::CleanroomError::container_error(format!(
                        "cannot remove `{}`",
                        root.display()
                    ))
                    .with_source(error)
                })?;
            }
        }
    }
    Ok(lines)
}
