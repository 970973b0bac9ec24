//! The places where a server may be installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::version::Version;

/// How a configured program was found.
pub(super) const CONFIGURED: &str = "configured";

/// A file that may be the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) how: &'static str,
}

impl Place {
    pub(super) fn new(path: PathBuf, how: &'static str) -> Self {
        Self { path, how }
    }

    /// What the user configured: the program, or the directory that it is in.
    pub(super) fn configured(path: &Path, name: &str) -> Self {
        let path = if path.is_dir() {
            path.join(name)
        } else {
            path.to_owned()
        };
        Self::new(path, CONFIGURED)
    }
}

/// The files called `name` in the directories of `PATH`, in its order. A
/// relative directory would mean another place for each test.
pub(super) fn in_path(name: &str, path: Option<&OsStr>) -> Vec<Place> {
    let dirs = path.into_iter().flat_map(std::env::split_paths);
    dirs.filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .filter(|file| file.is_file())
        .map(|file| Place::new(file, "PATH"))
        .collect()
}

/// The files called `name` in the directories that the patterns match, the
/// newest version first: the numbers in a path are compared as versions.
pub(super) fn well_known(name: &str, patterns: &[String]) -> Vec<Place> {
    let mut files: Vec<_> = patterns
        .iter()
        .filter_map(|pattern| glob::glob(pattern).ok())
        .flat_map(|paths| paths.filter_map(Result::ok))
        .map(|dir| dir.join(name))
        .filter(|file| file.is_file())
        .collect();
    files.sort_by_key(|file| {
        let newest_last: Vec<_> = file
            .iter()
            .filter_map(|part| Version::parse(&part.to_string_lossy()))
            .collect();
        std::cmp::Reverse(newest_last)
    });
    let place = |file| Place::new(file, "well-known place");
    files.into_iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_newest_of_well_known_places_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "16", "10"] {
            let bin = dir.path().join(version).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("postgres"), "").unwrap();
        }
        fs::create_dir_all(dir.path().join("17/bin")).unwrap();
        let pattern = dir.path().join("*/bin").to_string_lossy().into_owned();
        let found = well_known("postgres", &[pattern]);
        let versions: Vec<_> = found
            .iter()
            .map(|place| place.path.strip_prefix(dir.path()).unwrap())
            .filter_map(|path| path.iter().next()?.to_str())
            .collect();
        assert_eq!(versions, ["16", "15", "10", "9.6"]);
    }

    #[test]
    fn path_is_searched_in_its_order_without_relative_directories() {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["a", "b"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
            fs::write(dir.path().join(sub).join("server"), "").unwrap();
        }
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let path = std::env::join_paths([Path::new("."), &b, Path::new("/nonexistent"), &a]);
        let found = in_path("server", Some(&path.unwrap()));
        let expected = [b, a].map(|dir| Place::new(dir.join("server"), "PATH"));
        assert_eq!(found, expected);
    }
}
