//! `cargo clnrm fetch`: downloads ahead of time what the built-in plugins may need.

use clnrm_runtime::cache::Cache;
use clnrm_runtime::config::Config;
use clnrm_runtime::provision::{Progress, Provisioner, pins};
use clnrm_runtime::service::Provision;
use clnrm_runtime::{CleanroomError, Result};

use crate::cli::FetchArgs;

/// Fetches the programs that are named, or all. `tell` hears of each step.
///
/// # Errors
/// When a name is not known, downloads are forbidden, or one fails.
pub async fn fetch(
    args: &FetchArgs,
    config: &Config,
    tell: impl Fn(String) + Send + Sync,
) -> Result<()> {
    let known: [(&str, Provision); 2] = [("postgres", pins::postgres()), ("redis", pins::redis())];
    if let Some(name) = args
        .programs
        .iter()
        .find(|name| !known.iter().any(|(known, _)| known == name))
    {
        return Err(CleanroomError::validation_error(format!(
            "nothing is provisioned under the name `{name}`"
        ))
        .with_hint("the names are `postgres` and `redis`"));
    }
    let provisioner = Provisioner::new(Cache::of_this_user()?, config.offline);
    let wanted = known
        .iter()
        .filter(|(name, _)| args.programs.is_empty() || args.programs.iter().any(|it| it == name));
    for (name, provision) in wanted {
        let hear = |progress| match progress {
            Progress::Downloading { what } => tell(format!("downloading {what}")),
            Progress::Unpacking { what, bytes } => {
                tell(format!("unpacking {what} ({bytes} bytes, hash verified)"))
            }
            _ => {}
        };
        let dir = provisioner.fetch(provision, &hear).await?;
        tell(format!(
            "{name}: {} {} in {}",
            provision.package,
            provision.version,
            dir.display()
        ));
    }
    Ok(())
}
