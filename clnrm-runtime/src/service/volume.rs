//! Mounts as people write them: `./seed:/data:ro`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{CleanroomError, Result};

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volume {
    /// A directory or file of the host.
    Bind {
        /// The absolute path on the host.
        host: PathBuf,
        /// The path inside.
        path: String,
        /// Whether writes fail.
        read_only: bool,
    },
    /// A volume that lives as long as the instance.
    Anonymous {
        /// The path inside.
        path: String,
    },
    /// Memory.
    Tmpfs {
        /// The path inside.
        path: String,
    },
}

impl Volume {
    /// Reads `host:path`, `host:path:ro`, `host:path:rw`, or a `path` alone,
    /// which is an anonymous volume. A relative host path means `base`.
    ///
    /// # Errors
    /// When a part is missing, or the path inside is not absolute.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let refuse = |why: &str| {
            Err(CleanroomError::validation_error(format!("bad volume `{text}`: {why}"))
                .with_hint("write `host/path:/path/inside`, with `:ro` to make it read-only, or `/path/inside` alone"))
        };
        let (rest, read_only) = match text.rsplit_once(':') {
            Some((rest, "ro")) => (rest, true),
            Some((rest, "rw")) => (rest, false),
            _ => (text, false),
        };
        let (host, path) = match rest.rsplit_once(':') {
            Some((host, path)) => (Some(host), path),
            None => (None, rest),
        };
        if !path.starts_with('/') {
            return refuse("the path inside is not absolute");
        }
        match host {
            None if read_only => refuse("an anonymous volume cannot be read-only"),
            None => Ok(Self::Anonymous {
                path: path.to_owned(),
            }),
            Some("") => refuse("the path on the host is empty"),
            Some(host) => {
                let host = base.join(host).components().collect::<PathBuf>();
                Ok(Self::Bind {
                    host,
                    path: path.to_owned(),
                    read_only,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_forms_parse() {
        let base = Path::new("/base");
        let bind = |host: &str, read_only| Volume::Bind {
            host: host.into(),
            path: "/c".to_owned(),
            read_only,
        };
        assert_eq!(Volume::parse("/h:/c", base).unwrap(), bind("/h", false));
        assert_eq!(Volume::parse("/h:/c:ro", base).unwrap(), bind("/h", true));
        assert_eq!(
            Volume::parse("./h:/c:rw", base).unwrap(),
            bind("/base/h", false)
        );
        assert_eq!(
            Volume::parse("/c", base).unwrap(),
            Volume::Anonymous {
                path: "/c".to_owned()
            }
        );
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "c", "/h:c", ":/c", "/c:ro", "/h:/c:rx"] {
            assert!(Volume::parse(text, Path::new("/base")).is_err(), "{text}");
        }
    }
}
