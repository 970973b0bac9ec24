//! What an unpacked wheel must look like, byte for byte where it is executed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, Digest, SHA256};
use serde::{Deserialize, Serialize};

/// The name of the manifest in the directory of a program.
pub(super) const FILE: &str = "manifest.json";

/// Every file of an unpacked wheel.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The hash of the wheel.
    pub(super) wheel: String,
    /// By path below the directory.
    pub(super) files: BTreeMap<String, Entry>,
}

/// A file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) sha256: String,
    pub(super) bytes: u64,
    /// Whether it is executed or loaded, so that its hash is compared before use.
    pub(super) code: bool,
}

/// Whether a file is executed or loaded.
pub(super) fn is_code(path: &str, bin_dir: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let below = path
        .strip_prefix(bin_dir)
        .is_some_and(|rest| rest.starts_with('/'));
    below || name.ends_with(".so") || name.contains(".so.") || name.ends_with(".dylib")
}

/// Reads the manifest of `dir` and compares all that is there with it: no file
/// more or less, every size, and the hash of all code.
///
/// # Errors
/// The first difference, in words.
pub(super) fn verify(dir: &Path, wheel: &str) -> Result<(), String> {
    let text = fs::read(dir.join(FILE)).map_err(|error| format!("no manifest: {error}"))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| format!("bad manifest: {error}"))?;
    if manifest.wheel != wheel {
        return Err(format!("it is of another wheel, `{}`", manifest.wheel));
    }
    let mut found = 0_usize;
    for (name, path) in walk(dir).map_err(|error| format!("cannot be read: {error}"))? {
        if name == FILE {
            continue;
        }
        let entry = manifest
            .files
            .get(&name)
            .ok_or_else(|| format!("`{name}` is no part of it"))?;
        found += 1;
        let changed = || format!("`{name}` was changed");
        let meta = fs::symlink_metadata(&path).map_err(|_| changed())?;
        if !meta.is_file() || meta.len() != entry.bytes {
            return Err(changed());
        }
        if entry.code {
            let (hash, _) = File::open(&path)
                .and_then(|mut file| hash(&mut file))
                .map_err(|_| changed())?;
            if hash != entry.sha256 {
                return Err(changed());
            }
        }
    }
    if found == manifest.files.len() {
        Ok(())
    } else {
        Err(format!(
            "{} files are missing",
            manifest.files.len() - found
        ))
    }
}

/// Every file below `dir`, by its path from there.
fn walk(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    let mut left = vec![(String::new(), dir.to_owned())];
    while let Some((prefix, dir)) = left.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                left.push((format!("{name}/"), entry.path()));
            } else {
                files.push((name, entry.path()));
            }
        }
    }
    Ok(files)
}

/// The SHA-256 of all that is left in `file`, and how many bytes that was.
pub(super) fn hash(file: &mut impl Read) -> io::Result<(String, u64)> {
    let mut sha = sha256();
    let mut bytes = 0_u64;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        sha.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
    Ok((hex(&sha.finish()), bytes))
}

/// A hash that is fast in a debug build too, being assembly: every test binary
/// of a plain `cargo test` verifies 25 MB, in 0.07 s and not in 2.4 s.
pub(super) fn sha256() -> Context {
    Context::new(&SHA256)
}

pub(super) fn hex(digest: &Digest) -> String {
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
