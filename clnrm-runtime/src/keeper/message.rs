//! What owner, keeper and shim say to each other: one JSON object a message.
//!
//! All of them are the same binary, so there is no version in it.

use serde::{Deserialize, Serialize};

use super::spawn::{Exit, Isolation, Signal, Spawn, Target};
use crate::error::CleanroomError;
use crate::run::EngineMark;
use crate::service::RunId;

/// Numbers requests, and the children that they made.
pub(super) type Number = u64;

/// From the owner to the keeper.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// First of all. Carries the lock and, where there is one, the owner's pidfd.
    Hello(Hello),
    /// Starts a child. Carries standard output, error and, where given, input.
    Spawn { number: Number, spawn: Spawn },
    /// Sends a signal to a child.
    Signal {
        number: Number,
        child: Number,
        signal: Signal,
        target: Target,
    },
    /// Nobody will ask about this child again.
    Release { child: Number },
    /// The run has containers from now on, on this engine.
    UsesEngine { number: Number, engine: EngineMark },
    /// Takes over the log of a child. Carries both pipes that it writes to,
    /// and the file.
    TakeLog { number: Number },
    /// The owner goes, and what runs stays until the keeper is told to end.
    Keep { number: Number },
    /// The run ends.
    Dismiss,
}

/// What the keeper keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) run: RunId,
    #[serde(with = "text")]
    pub(super) dir: std::path::PathBuf,
}

/// From the keeper to the owner.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// The keeper watches.
    Ready,
    /// A child runs its program.
    Spawned {
        number: Number,
        pid: u32,
        isolation: Isolation,
    },
    /// A request was fulfilled.
    Done { number: Number },
    /// A request was not.
    Failed {
        number: Number,
        error: CleanroomError,
    },
    /// A child ended.
    Exited { child: Number, exit: Exit },
    /// The keeper stays without its owner.
    Kept { number: Number },
    /// Nothing of the run's processes is left; the keeper goes now.
    Dismissed,
}

/// From the keeper to a shim, with the child's standard files.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) run: RunId,
    /// Which child it is for its keeper.
    pub(super) child: Number,
    /// Who must still be the parent when all is set.
    pub(super) keeper: u32,
    pub(super) spawn: Spawn,
}

/// From a shim, or the init of a namespace, to the keeper.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// Namespaces are not allowed, for this reason; it goes on without.
    Refused(String),
    /// The init of a namespace exists. Carries its pidfd.
    Init,
    /// The program runs in the namespace. Carries its pidfd.
    Running {
        /// As the keeper sees it.
        pid: u32,
    },
    /// The program in the namespace ended.
    Exited(Exit),
    /// Nothing was started.
    Failed(CleanroomError),
}

/// From the keeper to the init of a namespace.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Forward {
    pub(super) signal: Signal,
    /// The program's group, or everything in the namespace.
    pub(super) everything: bool,
}

/// Text of the operating system: a string where it is one, else its bytes.
pub(super) mod text {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::PathBuf;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Text {
        Readable(String),
        Bytes(Vec<u8>),
    }

    impl From<OsString> for Text {
        fn from(text: OsString) -> Self {
            text.into_string()
                .map_or_else(|text| Self::Bytes(text.into_vec()), Self::Readable)
        }
    }

    impl From<Text> for OsString {
        fn from(text: Text) -> Self {
            match text {
                Text::Readable(text) => text.into(),
                Text::Bytes(bytes) => Self::from_vec(bytes),
            }
        }
    }

    pub(in crate::keeper) fn serialize<S: Serializer>(
        path: &std::path::Path,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        Text::from(path.as_os_str().to_owned()).serialize(to)
    }

    pub(in crate::keeper) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<PathBuf, D::Error> {
        Text::deserialize(from).map(|text| OsString::from(text).into())
    }

    /// A list of such texts.
    pub(in crate::keeper) mod list {
        use super::{Deserialize, Deserializer, OsString, Serializer, Text};

        pub(in crate::keeper) fn serialize<S: Serializer>(
            list: &[OsString],
            to: S,
        ) -> Result<S::Ok, S::Error> {
            to.collect_seq(list.iter().cloned().map(Text::from))
        }

        pub(in crate::keeper) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Vec<OsString>, D::Error> {
            let list = Vec::<Text>::deserialize(from)?;
            Ok(list.into_iter().map(OsString::from).collect())
        }
    }

    /// Pairs of such texts: a key that is bytes cannot be a key in JSON.
    pub(in crate::keeper) mod map {
        use std::collections::BTreeMap;

        use super::{Deserialize, Deserializer, OsString, Serializer, Text};

        pub(in crate::keeper) fn serialize<S: Serializer>(
            map: &BTreeMap<OsString, OsString>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            to.collect_seq(
                map.iter()
                    .map(|(key, value)| (Text::from(key.clone()), Text::from(value.clone()))),
            )
        }

        pub(in crate::keeper) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<BTreeMap<OsString, OsString>, D::Error> {
            let pairs = Vec::<(Text, Text)>::deserialize(from)?;
            Ok(pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect())
        }
    }
}
