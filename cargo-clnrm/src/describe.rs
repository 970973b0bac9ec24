//! What the services of a binary are: asked of a host once, then remembered by the binary's identity.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clnrm_runtime::plan::ServiceDescription;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    /// What its host was started with.
    started: String,
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

const VERSION: &str = concat!("2/", env!("CARGO_PKG_VERSION"));

/// Variables that are others in each shell, terminal or run, and say nothing
/// of services. One too few here costs a start of a host, one too many gives
/// an answer that holds no more.
const PASSING: [&str; 21] = [
    "CARGO_MAKEFLAGS",
    "CLNRM_TMPDIR",
    "COLUMNS",
    "GPG_TTY",
    "LINES",
    "MAKEFLAGS",
    "MFLAGS",
    "OLDPWD",
    "PWD",
    "RUST_RECURSION_COUNT",
    "SHLVL",
    "SSH_AGENT_PID",
    "SSH_AUTH_SOCK",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "STY",
    "TMUX_PANE",
    "WINDOWID",
    "XDG_SESSION_ID",
    "_",
];

/// What an expression in a declaration can read besides files, as a digest:
/// the environment and the arguments that its host is started with.
#[must_use]
pub fn start_digest(env: &BTreeMap<OsString, OsString>, args: &[OsString]) -> String {
    let passes = |name: &OsStr| PASSING.iter().any(|passing| name == *passing);
    let pairs = env.iter().filter(|(name, _)| !passes(name));
    let words = pairs.flat_map(|(name, value)| [name, value]).chain(args);
    let mut digest = Sha256::new();
    for word in words {
        digest.update(word.as_encoded_bytes());
        // Neither a variable nor an argument has it inside.
        digest.update([0]);
    }
    let bytes = digest.finalize();
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl DescribeCache {
    /// The cache of a workspace.
    #[must_use]
    pub fn new(target_dir: &Path) -> Self {
        Self {
            dir: target_dir.join("clnrm").join("describe"),
        }
    }

    /// What was described of this very build by a host that was `started` like
    /// the next one, if it still holds.
    #[must_use]
    pub fn get(&self, binary: &Path, started: &str) -> Option<Vec<ServiceDescription>> {
        let text = fs::read(self.file(binary)?).ok()?;
        let remembered: Remembered = serde_json::from_slice(&text).ok()?;
        let holds = remembered.version == VERSION
            && remembered.started == started
            && Identity::of(binary).as_ref() == Some(&remembered.binary)
            && remembered
                .inputs
                .iter()
                .all(|(path, identity)| Identity::of(path) == *identity);
        holds.then_some(remembered.services)
    }

    /// Remembers what a host said. A cache that cannot be written is only slow.
    pub fn put(&self, binary: &Path, started: &str, services: &[ServiceDescription]) {
        if services.iter().any(|service| service.error.is_some()) {
            // What is wrong may be mended without a build: a file, a variable.
            return;
        }
        let write = || {
            let inputs = services.iter().flat_map(|service| files(&service.inputs));
            let remembered = Remembered {
                version: VERSION.to_owned(),
                binary: Identity::of(binary)?,
                started: started.to_owned(),
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
        // Many systems tell times by a tick of milliseconds, in which all of this may happen.
        let directory = fs::File::open(&migrations).unwrap();
        directory.set_modified(UNIX_EPOCH).unwrap();
        let cache = DescribeCache::new(dir.path());
        assert!(cache.get(&binary, "s").is_none());
        cache.put(&binary, "s", &[description(vec![migrations.clone()])]);
        assert_eq!(cache.get(&binary, "s").unwrap().len(), 1);
        fs::write(migrations.join("1.sql"), "create table t ()").unwrap();
        assert!(cache.get(&binary, "s").is_none(), "a new migration");
        cache.put(&binary, "s", &[description(Vec::new())]);
        assert!(cache.get(&binary, "s").is_some());
        fs::write(&binary, "other").unwrap();
        assert!(cache.get(&binary, "s").is_none(), "a new build");
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
            "s",
            &[ServiceDescription {
                error,
                ..description(Vec::new())
            }],
        );
        assert!(cache.get(&binary, "s").is_none());
    }

    #[test]
    fn a_description_holds_in_the_environment_that_it_was_made_in() {
        let digest = |pairs: &[(&str, &str)], args: &[&str]| {
            let pairs = pairs.iter();
            let env = pairs.map(|(name, value)| (name.into(), value.into()));
            let args: Vec<_> = args.iter().map(OsString::from).collect();
            start_digest(&env.collect(), &args)
        };
        let one = digest(&[("PG_TAG", "15"), ("PWD", "/a")], &[]);
        assert_eq!(one, digest(&[("PG_TAG", "15"), ("SHLVL", "2")], &[]));
        let others = [
            digest(&[("PG_TAG", "16")], &[]),
            digest(&[("PG_TA", "G15")], &[]),
            digest(&[("PG_TAG", "15"), ("MORE", "")], &[]),
            digest(&[("PG_TAG", "15")], &["env", "PG_TAG=16"]),
        ];
        assert!(others.iter().all(|other| *other != one));

        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("it");
        fs::write(&binary, "one").unwrap();
        let cache = DescribeCache::new(dir.path());
        cache.put(&binary, &one, &[description(Vec::new())]);
        assert!(cache.get(&binary, &one).is_some());
        assert!(cache.get(&binary, &others[0]).is_none());
    }
}
