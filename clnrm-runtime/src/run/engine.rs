//! On which engine a run has something: noted in its directory before anything is there.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cannot;
use crate::error::Result;

/// Its file in the directory of a run.
const FILE: &str = "engine";
/// What becomes that.
const DRAFT: &str = ".engine";

/// An engine, as a run notes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineMark {
    /// What tells it apart from every other, at whatever address.
    pub identity: String,
    /// Where it answered.
    pub address: String,
}

impl EngineMark {
    /// Whether both are of one engine.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Notes that a run may have something there from now on.
    pub(crate) fn note(&self, dir: &Path) -> Result<()> {
        let (file, draft) = (dir.join(FILE), dir.join(DRAFT));
        let written = || {
            fs::write(&draft, serde_json::to_vec(self)?)?;
            fs::rename(&draft, &file)
        };
        written().map_err(|error| cannot("make", &file, error))
    }

    /// What a run has noted. A note that cannot be read is of no engine that
    /// anybody knows.
    pub(super) fn of(dir: &Path) -> Option<Self> {
        let file = dir.join(FILE);
        let note = || serde_json::from_slice(&fs::read(&file).ok()?).ok();
        file.exists().then(|| note().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_itself_at_another_address() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(EngineMark::of(dir.path()), None);
        let mark = |identity: &str, address: &str| EngineMark {
            identity: identity.to_owned(),
            address: address.to_owned(),
        };
        mark("one", "unix:///run/docker.sock")
            .note(dir.path())
            .unwrap();
        let noted = EngineMark::of(dir.path()).unwrap();
        assert!(noted.is(&mark("one", "unix:///var/run/docker.sock")));
        assert!(!noted.is(&mark("other", "unix:///run/docker.sock")));
        fs::write(dir.path().join(FILE), "").unwrap();
        let lost = EngineMark::of(dir.path()).unwrap();
        assert!(!lost.is(&noted));
    }
}
