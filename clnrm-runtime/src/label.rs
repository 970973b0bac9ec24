//! What everything that a run starts carries, so that it can be found and removed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{CleanroomError, Result};
use crate::service::{InstanceKey, RunId};

/// The label with the run's id.
pub const RUN: &str = "clnrm.run";
/// The label with the owner.
pub const OWNER: &str = "clnrm.owner";
/// The label with the service's name.
pub const SERVICE: &str = "clnrm.service";
/// The label with the instance's key.
pub const KEY: &str = "clnrm.key";
/// The label that one attempt to start an instance has for itself.
pub const ATTEMPT: &str = "clnrm.attempt";

/// The process that owns a run, told apart from every other that is or was.
///
/// The boot id and the start time make a reused pid another owner; the pid
/// namespace keeps owners in containers that share an engine apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The kernel's random boot id.
    pub boot: String,
    /// The inode of the pid namespace.
    pub namespace: u64,
    /// The user.
    pub uid: u32,
    /// The process.
    pub pid: u32,
    /// Its start time in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
    pub started: u64,
}

impl Owner {
    /// Whether it is of the same boot, pid namespace and user: only of those
    /// can this process tell whether they live.
    #[must_use]
    pub fn is_near(&self, other: &Self) -> bool {
        let place = |owner: &Self| (owner.boot.clone(), owner.namespace, owner.uid);
        place(self) == place(other)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            boot,
            namespace,
            uid,
            pid,
            started,
        } = self;
        write!(f, "{boot}/{namespace}/{uid}/{pid}/{started}")
    }
}

impl FromStr for Owner {
    type Err = CleanroomError;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let mut parts = text.split('/');
            let owner = Self {
                boot: parts.next()?.to_owned(),
                namespace: parts.next()?.parse().ok()?,
                uid: parts.next()?.parse().ok()?,
                pid: parts.next()?.parse().ok()?,
                started: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(owner)
        };
        parse().ok_or_else(|| CleanroomError::validation_error(format!("`{text}` is not an owner")))
    }
}

/// What one instance carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The run.
    pub run: RunId,
    /// Its owner.
    pub owner: Owner,
    /// The service's name.
    pub service: String,
    /// What the run shares it by.
    pub key: InstanceKey,
    /// One attempt to start it, unique in the run.
    pub attempt: String,
}

impl Label {
    /// As key and value pairs.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, String> {
        [
            (RUN, self.run.to_string()),
            (OWNER, self.owner.to_string()),
            (SERVICE, self.service.clone()),
            (KEY, self.key.to_string()),
            (ATTEMPT, self.attempt.clone()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_prints_and_parses() {
        let owner = Owner {
            boot: "ab-cd".to_owned(),
            namespace: 4_026_531_836,
            uid: 0,
            pid: 12,
            started: 3456,
        };
        assert_eq!(owner.to_string().parse::<Owner>().unwrap(), owner);
        assert!("a/b".parse::<Owner>().is_err());
    }
}
