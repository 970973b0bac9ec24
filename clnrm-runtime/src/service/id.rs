//! The names by which a run tells its parts apart.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// One declaration of a service: `package/target/module::path::Type`.
    ///
    /// `module_path!()` alone does not identify it: `tests/it.rs` of two
    /// packages are both `it`.
    ServiceId
}
name! {
    /// What a run shares by: the hash of name, plugin type and version, canonical
    /// configuration, scope and the keys of the dependencies. 16 hexadecimal digits.
    InstanceKey
}
name! {
    /// One running copy, in the words of its backend: a container's id, or a
    /// process's directory name.
    InstanceId
}
name! {
    /// One run: 16 hexadecimal digits, in every label and directory name. The
    /// first half is equal for runs that see each other's locks.
    RunId
}

impl RunId {
    /// How many digits it has.
    pub(crate) const LEN: usize = 16;
    /// How many of them say where the run is.
    pub(crate) const SITE: usize = 8;

    /// From where it sees the locks of other runs: boot, pid namespace, user
    /// and directory, hashed.
    pub(crate) fn site(&self) -> &str {
        self.0.get(..Self::SITE).unwrap_or_default()
    }
}

impl InstanceKey {
    /// Hashes the parts that make two instances interchangeable.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // The length keeps `ab`+`c` apart from `a`+`bc`.
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        Self(
            digest
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        )
    }
}

/// A test, by the binary it is in and libtest's name for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TestId {
    /// `package` for a library, `package::target` for an integration test,
    /// `package::bin/name` for a program: nextest's binary id.
    pub binary: String,
    /// The path libtest prints, for example `cart::empty_cart_is_refused`.
    pub name: String,
}

impl fmt::Display for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.binary, self.name)
    }
}

/// Who owns a lease or an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerId {
    /// The run: until its end.
    Run,
    /// One attempt of one test.
    Test {
        /// The test.
        test: TestId,
        /// From 1; each retry takes new leases.
        attempt: u32,
    },
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run => f.write_str("run"),
            Self::Test { test, attempt: 1 } => test.fmt(f),
            Self::Test { test, attempt } => write!(f, "{test} (attempt {attempt})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundaries_of_the_parts_count() {
        assert_ne!(InstanceKey::of(["ab", "c"]), InstanceKey::of(["a", "bc"]));
        assert_eq!(InstanceKey::of(["ab", "c"]), InstanceKey::of(["ab", "c"]));
        assert_eq!(InstanceKey::of(["ab"]).as_str().len(), 16);
    }
}
