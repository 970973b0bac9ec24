//! Which images are here or can be had: asked once a run, local ones first.
//!
//! The names are those of the specs; `[images]` of the configuration maps them
//! before anybody is asked. A tag is never made up.

mod map;
mod pull;

pub use map::map;
pub use pull::PullProgress;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::DockerBackend;
use super::refuse::{chain, is_gone};
use crate::plan::ImageProbe;
use crate::service::ImageRef;
use pull::Patience;

/// What to do about an image that is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullPolicy {
    /// It is missing: `--offline`.
    Never,
    /// Pull it, as there is no other way. Given up when nothing moves for `stall`.
    Missing {
        /// How long a pull may go without a byte.
        stall: Duration,
    },
    /// Pull it, but do without when the registry is silent for 10 s, or for
    /// `stall` if that is shorter: another backend can run the service.
    MissingUnlessSlow {
        /// How long a pull may go without a byte.
        stall: Duration,
    },
}

impl PullPolicy {
    fn patience(self) -> Option<Patience> {
        match self {
            Self::Never => None,
            Self::Missing { stall } => Some(Patience {
                first: stall,
                stall,
            }),
            Self::MissingUnlessSlow { stall } => Some(Patience {
                first: stall.min(Duration::from_secs(10)),
                stall,
            }),
        }
    }
}

/// What was found out about images in this run, by the name that was looked for.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Arc<OnceCell<ImageProbe>>>>);

impl Memory {
    fn cell(&self, name: &str) -> Arc<OnceCell<ImageProbe>> {
        // The map is whole after every statement, so a poisoned lock is as good.
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(name.to_owned()).or_default())
    }
}

/// Looks for `images`, all at once, and pulls what is not here as `policy` says.
///
/// The answers are by the reference that a spec names. Every name is asked for
/// once in the life of `engine`, whoever asks and under however many references;
/// the first asker's policy holds.
pub async fn probe(
    engine: &DockerBackend,
    images: &[ImageRef],
    mapping: &BTreeMap<String, String>,
    policy: PullPolicy,
    progress: &(dyn Fn(PullProgress) + Send + Sync),
) -> BTreeMap<String, ImageProbe> {
    let probes = images.iter().map(|image| async move {
        let probe = match map(image, mapping) {
            Ok(name) => {
                let cell = engine.images.cell(&name.to_string());
                let ask = || look(engine, &name, policy, progress);
                cell.get_or_init(ask).await.clone()
            }
            Err(error) => ImageProbe::Missing {
                name: image.to_string(),
                reason: error.message().to_owned(),
            },
        };
        (image.to_string(), probe)
    });
    join_all(probes).await.into_iter().collect()
}

async fn look(
    engine: &DockerBackend,
    image: &ImageRef,
    policy: PullPolicy,
    progress: &(dyn Fn(PullProgress) + Send + Sync),
) -> ImageProbe {
    let docker = &engine.connection.docker;
    let name = image.to_string();
    let here = match docker.inspect_image(&name).await {
        Ok(_) => return ImageProbe::Present { name, pulled: None },
        Err(error) if is_gone(&error) => policy.patience(),
        Err(error) => {
            let reason = chain(&error);
            return ImageProbe::Missing { name, reason };
        }
    };
    let Some(patience) = here else {
        let reason = "nothing is pulled offline".to_owned();
        return ImageProbe::Missing { name, reason };
    };
    match pull::pull(docker, image, patience, progress).await {
        Ok(bytes) => ImageProbe::Present {
            name,
            pulled: Some(bytes),
        },
        Err(said) => ImageProbe::Missing {
            name,
            reason: format!("the pull said: {said}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_has_the_patience_that_is_configured() {
        let seconds = Duration::from_secs;
        let check = |policy: PullPolicy, first, stall| {
            let patience = policy.patience().unwrap();
            assert_eq!(
                (patience.first, patience.stall),
                (seconds(first), seconds(stall))
            );
        };
        check(PullPolicy::Missing { stall: seconds(90) }, 90, 90);
        check(PullPolicy::MissingUnlessSlow { stall: seconds(90) }, 10, 90);
        check(PullPolicy::MissingUnlessSlow { stall: seconds(2) }, 2, 2);
        assert!(PullPolicy::Never.patience().is_none());
    }
}
