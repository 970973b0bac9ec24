//! Data directories that are made once, kept in the cache, and copied for each instance.
//!
//! A seed is built beside its place, under a lock, and renamed when it is whole:
//! whoever is killed in the middle leaves nothing that would be used. What was
//! copied is compared with what was built, so that a damaged one is built anew.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::copy::{self, Extent};
use super::directory::Directory;
use super::user::{self, Account};
use super::{environment, exec};
use crate::backend::{CreateRequest, Surroundings};
use crate::cache::{Cache, Part};
use crate::error::{CleanroomError, Result};
use crate::keeper::{Keeper, Spawn};
use crate::service::{File, InstanceKey, Seed};

/// How long another process may take to build the same seed.
const LOCK: Duration = Duration::from_secs(300);

/// What a whole seed holds beside its data.
const MARKER: &str = "complete";

/// What a seed is made of.
#[derive(Debug)]
pub(super) struct Recipe<'a> {
    pub(super) seed: &'a Seed,
    pub(super) request: &'a CreateRequest,
    pub(super) program: &'a Path,
    pub(super) version: Option<&'a str>,
    pub(super) account: Option<&'a Account>,
}

/// Fills the data directory of an instance from its seed, which is built first
/// where it is not in the cache.
///
/// # Errors
/// When the seed cannot be built or copied.
pub(super) async fn fill(
    recipe: &Recipe<'_>,
    directory: &Directory,
    cache: &Cache,
    keeper: &Keeper,
) -> Result<()> {
    let program = beside(recipe.program, &recipe.seed.program)?;
    let name = recipe.key(&program)?;
    let seed = cache.dir(Part::Seeds)?.join(&name);
    let mut again = true;
    loop {
        let whole = match read_marker(&seed) {
            Some(whole) => whole,
            None => build(recipe, &program, &name, cache, keeper).await?,
        };
        let (from, to) = (seed.join("data"), directory.data());
        let copied = blocking({
            let to = to.clone();
            move || Ok(copy::tree(&from, &to))
        })
        .await?;
        match copied {
            Ok(extent) if extent == whole => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::StorageFull || !again => {
                return Err(cannot("copy", &seed, error));
            }
            Ok(_) if !again => {
                return Err(CleanroomError::container_error(format!(
                    "the seed `{}` changes while it is copied",
                    seed.display()
                ))
                .with_hint("delete it: it is built anew"));
            }
            outcome => {
                tracing::warn!(seed = %seed.display(), ?outcome, ?whole, "a seed is damaged");
                discard(&seed);
                fs::remove_dir_all(&to)
                    .and_then(|()| DirBuilder::new().mode(0o700).create(&to))
                    .and_then(|()| directory.give(&to))
                    .map_err(|error| cannot("empty", &to, error))?;
                again = false;
            }
        }
    }
}

impl Recipe<'_> {
    /// The name of the seed: two that are made alike have the same.
    fn key(&self, program: &Path) -> Result<String> {
        let mut parts = vec![
            "seed 1".to_owned(),
            self.version.unwrap_or_default().to_owned(),
            self.account
                .map_or_else(effective_user, |account| account.uid)
                .to_string(),
        ];
        for path in [self.program, program] {
            let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            // Another program in the same place, after an upgrade, makes others.
            let meta = fs::metadata(&path).map_err(|error| cannot("read", &path, error))?;
            parts.push(path.to_string_lossy().into_owned());
            parts.push(format!(
                "{} {}.{}",
                meta.len(),
                meta.mtime(),
                meta.mtime_nsec()
            ));
        }
        let args = environment::args(
            &self.seed.args,
            self.request,
            &around(Path::new("{seed_dir}")),
        )?;
        parts.extend(
            args.into_iter()
                .map(|arg| arg.to_string_lossy().into_owned()),
        );
        for file in &self.seed.files {
            parts.extend([file.path.clone(), file.contents.clone()]);
        }
        Ok(InstanceKey::of(parts.iter().map(String::as_str)).to_string())
    }
}

/// Builds the seed, unless somebody else did so while this waited.
async fn build(
    recipe: &Recipe<'_>,
    program: &Path,
    name: &str,
    cache: &Cache,
    keeper: &Keeper,
) -> Result<Extent> {
    let _lock = cache.lock(&format!("seed-{name}.lock"), LOCK).await?;
    let seeds = cache.dir(Part::Seeds)?;
    let target = seeds.join(name);
    if let Some(whole) = read_marker(&target) {
        return Ok(whole);
    }
    // What is there has no marker, and whoever built it has lost the lock.
    discard(&target);
    discard_abandoned(&seeds, name);
    if let Some(account) = recipe.account {
        user::can_reach(account, &seeds)?;
    }
    let building = Building::begin(&seeds, name, recipe.account)?;
    building.write(&recipe.seed.files, recipe.account)?;
    let data = building.data();
    let spawn = Spawn {
        program: program.to_owned(),
        args: environment::args(&recipe.seed.args, recipe.request, &around(&data))?,
        env: environment::base(program, &data, &building.temp()),
        workdir: building.temp(),
        user: recipe.account.map(Account::to_user),
        isolate: true,
    };
    let output = exec::run(keeper, spawn).await?;
    if !output.success() {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(20)..);
        return Err(CleanroomError::container_error(format!(
            "`{}` ended with {} while it made a seed",
            program.display(),
            output.code
        ))
        .with_context("output", last.unwrap_or_default().join("\n")));
    }
    blocking(move || building.finish(&target)).await
}

/// What a template of the seed's arguments may name.
fn around(seed_dir: &Path) -> Surroundings {
    Surroundings {
        host: environment::HOST.to_owned(),
        seed_dir: seed_dir.to_string_lossy().into_owned(),
        ..Surroundings::default()
    }
}

/// The program called `name` in the directory of another one, links resolved
/// where it is not in the directory of the link.
fn beside(program: &Path, name: &str) -> Result<PathBuf> {
    let resolved = fs::canonicalize(program).ok();
    [Some(program), resolved.as_deref()]
        .into_iter()
        .flatten()
        .filter_map(Path::parent)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            CleanroomError::container_error(format!(
                "there is no `{name}` beside `{}`, which it needs",
                program.display()
            ))
            .with_hint(format!("install the package that has `{name}`"))
        })
}

fn read_marker(seed: &Path) -> Option<Extent> {
    serde_json::from_slice(&fs::read(seed.join(MARKER)).ok()?).ok()
}

/// Takes a seed out of the way at once, and deletes it then. Whoever copies it
/// just now finds out.
fn discard(seed: &Path) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let aside = seed.with_extension(format!("discarded-{}-{number}", std::process::id()));
    let removed = fs::rename(seed, &aside).and_then(|()| fs::remove_dir_all(&aside));
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(seed = %seed.display(), %error, "cannot discard a seed");
    }
}

/// Deletes what was being built when its builder ended.
fn discard_abandoned(seeds: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(seeds) else {
        return;
    };
    let prefix = format!("{name}_building-");
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            discard(&entry.path());
        }
    }
}

/// A seed that is not whole yet. It goes when its building ends without
/// [`Building::finish`].
#[derive(Debug)]
struct Building {
    dir: PathBuf,
}

impl Building {
    fn begin(seeds: &Path, name: &str, account: Option<&Account>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = seeds.join(format!("{name}_building-{}-{number}", std::process::id()));
        let building = Self { dir };
        let make = || {
            fs::create_dir(&building.dir)?;
            let mode = if account.is_some() { 0o755 } else { 0o700 };
            fs::set_permissions(&building.dir, Permissions::from_mode(mode))?;
            for dir in [building.data(), building.temp()] {
                DirBuilder::new().mode(0o700).create(&dir)?;
                if let Some(account) = account {
                    chown(&dir, Some(account.uid), Some(account.gid))?;
                }
            }
            Ok(())
        };
        make().map_err(|error| cannot("make", &building.dir, error))?;
        Ok(building)
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn temp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Writes the files that the command finds in its working directory. They
    /// go with it, before the seed is whole.
    fn write(&self, files: &[File], account: Option<&Account>) -> Result<()> {
        let write = |file: &File| {
            let path = self.temp().join(&file.path);
            let mut open = fs::OpenOptions::new();
            let mut created = open
                .write(true)
                .create_new(true)
                .mode(file.mode)
                .open(&path)?;
            created.write_all(file.contents.as_bytes())?;
            if let Some(account) = account {
                chown(&path, Some(account.uid), Some(account.gid))?;
            }
            Ok(())
        };
        files.iter().try_for_each(|file| {
            write(file).map_err(|error| cannot("write a file of", &self.dir, error))
        })
    }

    /// Makes it the seed.
    fn finish(self, target: &Path) -> Result<Extent> {
        let finish = || {
            fs::remove_dir_all(self.temp())?;
            let extent = copy::measure(&self.data())?;
            fs::write(self.dir.join(MARKER), serde_json::to_vec(&extent)?)?;
            fs::rename(&self.dir, target)?;
            Ok(extent)
        };
        finish().map_err(|error| cannot("finish", target, error))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.dir) {
            // It was finished, or a process that is being killed still writes:
            // the next builder deletes what is left.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::debug!(dir = %self.dir.display(), %error, "cannot delete"),
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

fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn cannot(verb: &str, path: &Path, error: io::Error) -> CleanroomError {
    let full = error.kind() == io::ErrorKind::StorageFull;
    let message = format!("cannot {verb} the seed `{}`", path.display());
    let error = CleanroomError::container_error(message).with_source(error);
    if full {
        error.with_hint("make room on its disk, or set `CLNRM_CACHE_DIR` to another one")
    } else {
        error
    }
}
