//! What the services of a binary are: asked of a host once, then remembered by the binary's identity.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clnrm_runtime::plan::ServiceDescription;
use serde::{Deserialize, Serialize};

/// Descriptions on disk, one file a binary, below the target directory.
#[derive(Debug, Clone)]
pub struct DescribeCache {
    dir: PathBuf,
}

/// What a file of the cache holds.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    /// Of this form, and of the runtime that described.
    version: String,
    binary: Identity,
    /// The files that configurations read, as they were.
    inputs: Vec<(PathBuf, Option<Identity>)>,
    services: Vec<ServiceDescription>,
}

/// What tells one build of a file from the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    len: u64,
    modified_ns: u128,
}

const VERSION: &str = concat!("1/", env!("CARGO_PKG_VERSION"));

impl DescribeCache {
    /// The cache of a workspace.
    #[must_use]
    pub fn new(target_dir: &Path) -> Self {
        Self {
            dir: target_dir.join("clnrm").join("describe"),
        }
    }

    /// What was described of this very build, if it still holds.
    #[must_use]
    pub fn get(&self, binary: &Path) -> Option<Vec<ServiceDescription>> {
        let text = fs::read(self.file(binary)?).ok()?;
        let remembered: Remembered = serde_json::from_slice(&text).ok()?;
        let holds = remembered.version == VERSION
            && Identity::of(binary).as_ref() == Some(&remembered.binary)
            && remembered
                .inputs
                .iter()
                .all(|(path, identity)| Identity::of(path) == *identity);
        holds.then_some(remembered.services)
    }

    /// Remembers what a host said. A cache that cannot be written is only slow.
    pub fn put(&self, binary: &Path, services: &[ServiceDescription]) {
        if services.iter().any(|service| service.error.is_some()) {
            // What is wrong may be mended without a build: a file, a variable.
            return;
        }
        let write = || {
            let inputs = services.iter().flat_map(|service| files(&service.inputs));
            let remembered = Remembered {
                version: VERSION.to_owned(),
                binary: Identity::of(binary)?,
                inputs: inputs
                    .map(|path| (path.clone(), Identity::of(&path)))
                    .collect(),
                services: services.to_vec(),
            };
            let text = serde_json::to_vec(&remembered).ok()?;
            fs::create_dir_all(&self.dir).ok()?;
            let draft = tempfile::NamedTempFile::new_in(&self.dir).ok()?;
            fs::write(draft.path(), text).ok()?;
            draft.persist(self.file(binary)?).ok()
        };
        if write().is_none() {
            tracing::debug!(binary = %binary.display(), "cannot remember its description");
        }
    }

    fn file(&self, binary: &Path) -> Option<PathBuf> {
        Some(
            self.dir
                .join(format!("{}.json", binary.file_name()?.to_str()?)),
        )
    }
}

impl Identity {
    /// Of a file that is there.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let modified_ns = modified
            .duration_since(UNIX_EPOCH)
            .map(|it| it.as_nanos())
            .unwrap_or_default();
        Some(Self {
            len: metadata.len(),
            modified_ns,
        })
    }
}

/// The inputs, with every file and directory below them: a new file changes
/// the time of its directory, an edit that of the file.
fn files(inputs: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = inputs.to_vec();
    while let Some(path) = open.pop() {
        if let Ok(entries) = fs::read_dir(&path) {
            open.extend(entries.flatten().map(|entry| entry.path()));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(inputs: Vec<PathBuf>) -> ServiceDescription {
        ServiceDescription {
            id: clnrm_runtime::service::ServiceId::new("p/it/it::Db"),
            name: "db".to_owned(),
            location: "tests/it.rs:1".to_owned(),
            service_type: "postgres".to_owned(),
            version: "1.0.0".to_owned(),
            scope: None,
            optional: false,
            needs: Vec::new(),
            fingerprint: "f".to_owned(),
            inputs,
            spec: None,
            isolation: std::collections::BTreeMap::new(),
            error: None,
        }
    }

    #[test]
    fn a_description_holds_until_the_binary_or_an_input_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (binary, migrations) = (dir.path().join("it-0123"), dir.path().join("migrations"));
        fs::write(&binary, "one").unwrap();
        fs::create_dir(&migrations).unwrap();
        let cache = DescribeCache::new(dir.path());
        assert!(cache.get(&binary).is_none());
        cache.put(&binary, &[description(vec![migrations.clone()])]);
        assert_eq!(cache.get(&binary).unwrap().len(), 1);
        fs::write(migrations.join("1.sql"), "create table t ()").unwrap();
        assert!(cache.get(&binary).is_none(), "a new migration");
        cache.put(&binary, &[description(Vec::new())]);
        assert!(cache.get(&binary).is_some());
        fs::write(&binary, "other").unwrap();
        assert!(cache.get(&binary).is_none(), "a new build");
    }

    #[test]
    fn what_is_wrong_is_not_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("it");
        fs::write(&binary, "one").unwrap();
        let cache = DescribeCache::new(dir.path());
        let error = Some(clnrm_runtime::CleanroomError::validation_error("bad"));
        cache.put(
            &binary,
            &[ServiceDescription {
                error,
                ..description(Vec::new())
            }],
        );
        assert!(cache.get(&binary).is_none());
    }
}
