//! How much of an instance one test owns.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::spec::Var;

/// Who owns an instance, where its declaration says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One instance for the whole run, shared whole.
    Run,
    /// One instance for each test.
    Test,
}

/// How a plugin keeps the tests that share a backend apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// One instance for the run, a slice of it for each test.
    Slice,
    /// An instance for each test.
    Instance,
}

/// The name of a slice: `clnrm_<run>_<number>`, safe as an SQL identifier, and
/// short enough for one (63 bytes in Postgres).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SliceId {
    /// The whole name.
    pub name: String,
    /// Counts the slices of one instance from 1, so that numbered ones (Redis
    /// databases) need no bookkeeping of their own.
    pub number: u32,
}

impl fmt::Display for SliceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An isolated part of a shared instance, as its plugin made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Its name.
    pub id: SliceId,
    /// What differs from the instance: for Postgres `database`. They replace
    /// the variables of the same names in exports such as `url`.
    pub vars: BTreeMap<String, Var>,
}

impl Slice {
    /// A slice whose exports are the instance's but for `vars`.
    #[must_use]
    pub fn new<K: Into<String>>(id: SliceId, vars: impl IntoIterator<Item = (K, Var)>) -> Self {
        let vars = vars
            .into_iter()
            .map(|(name, var)| (name.into(), var))
            .collect();
        Self { id, vars }
    }
}
