//! Image references: `[host[:port]/]path[:tag][@digest]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{CleanroomError, Result};

/// A parsed image reference. There is never a default tag of `latest`: a
/// reference without tag and digest is refused.
///
/// The grammar is that of the OCI distribution reference.
///
/// ```
/// use clnrm_runtime::service::ImageRef;
///
/// let image: ImageRef = "localhost:5000/team/shop:1.2".parse()?;
/// assert_eq!(image.repository(), "localhost:5000/team/shop");
/// assert_eq!(image.tag(), Some("1.2"));
/// assert!("postgres".parse::<ImageRef>().is_err());
/// # Ok::<(), clnrm_runtime::CleanroomError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImageRef {
    /// Everything before the tag, the registry's host included.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, `sha256:…`.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Reads an image that is configured with its tag apart; the tag replaces
    /// one that the image has.
    ///
    /// # Errors
    /// When either is malformed, or there is no tag at all.
    pub fn at_tag(image: &str, tag: Option<&str>) -> Result<Self> {
        match (tag, image.parse::<Self>()) {
            (None, image) => image,
            (Some(tag), Ok(image)) => image.with_tag(tag),
            (Some(tag), Err(_)) => format!("{image}:{tag}").parse(),
        }
    }

    /// The major version that the tag speaks of: `15` of `15.6-alpine`, and 17
    /// of `2.17-pg17`, where an extension's version stands first.
    #[must_use]
    pub fn major(&self) -> Option<u32> {
        let tag = self.tag()?;
        let after_pg = tag.split_once("pg").map(|(_, rest)| rest);
        let version = after_pg
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            .unwrap_or(tag);
        let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    }

    /// The same image at another tag, without a digest.
    ///
    /// # Errors
    /// When `tag` has characters that a tag cannot have.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        format!("{}:{tag}", self.repository).parse()
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.to_string()
    }
}

impl TryFrom<String> for ImageRef {
    type Error = CleanroomError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for ImageRef {
    type Err = CleanroomError;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str, hint: &str| {
            Err(
                CleanroomError::validation_error(format!("bad image reference `{text}`: {why}"))
                    .with_hint(hint),
            )
        };
        if text.is_empty() {
            return refuse(
                "it is empty",
                "name an image and a tag, for example `postgres:15`",
            );
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon after the last slash starts a tag; one before it, a port.
        let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match rest.rfind(':').filter(|colon| *colon >= path_start) {
            Some(colon) => (rest.get(..colon).unwrap_or(rest), rest.get(colon + 1..)),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return refuse(
                "the name has characters that an image cannot have",
                "use lower-case letters, digits and `.`, `_`, `-` between slashes",
            );
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return refuse(
                "the tag is malformed",
                "a tag has letters, digits, `.`, `_` and `-`, 128 at most",
            );
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return refuse(
                "the digest is malformed",
                "a digest is `sha256:` and 64 hexadecimal digits",
            );
        }
        if tag.is_none() && digest.is_none() {
            return refuse(
                "it has no tag",
                "add the tag that you tested with, for example `postgres:15`; `latest` is never assumed",
            );
        }
        Ok(Self {
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

fn is_repository(text: &str) -> bool {
    let mut parts = text.split('/').peekable();
    let Some(first) = parts.peek().copied() else {
        return false;
    };
    // Only a first part with a dot, a colon or `localhost` is a host.
    let has_host = text.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    if has_host {
        parts.next();
        let (host, port) = first.split_once(':').unwrap_or((first, "0"));
        let host_is_good = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
        if !host_is_good || port.parse::<u16>().is_err() {
            return false;
        }
    }
    parts.all(|part| {
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = part.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
            })
    })
}

fn is_tag(text: &str) -> bool {
    let first_is_good = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let all_are_good = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    first_is_good && all_are_good && text.len() <= 128
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, repository: &str, tag: Option<&str>) {
        let image: ImageRef = text.parse().unwrap();
        assert_eq!((image.repository(), image.tag()), (repository, tag));
        assert_eq!(image.to_string(), text);
    }

    #[test]
    fn hosts_ports_tags_and_digests_parse() {
        check("postgres:15", "postgres", Some("15"));
        check("clnrm-test/web:1", "clnrm-test/web", Some("1"));
        check("host:5000/img:tag", "host:5000/img", Some("tag"));
        check(
            "ghcr.io/a/b.c-d_e:RELEASE.2025-09-07",
            "ghcr.io/a/b.c-d_e",
            Some("RELEASE.2025-09-07"),
        );
        let digest = format!("redis@sha256:{}", "0a".repeat(32));
        check(&digest, "redis", None);
    }

    #[test]
    fn a_tag_apart_replaces_the_image_s_own() {
        for (image, tag, whole) in [
            ("postgres:15", None, "postgres:15"),
            ("postgres:15", Some("16"), "postgres:16"),
            ("host:5000/postgres", Some("16"), "host:5000/postgres:16"),
        ] {
            assert_eq!(ImageRef::at_tag(image, tag).unwrap().to_string(), whole);
        }
        assert!(ImageRef::at_tag("postgres:15", Some("")).is_err());
    }

    #[test]
    fn the_major_version_is_read_off_the_tag() {
        for (image, major) in [
            ("postgres:15", Some(15)),
            ("postgres:15.6-alpine", Some(15)),
            ("team/timescaledb:2.17-pg16", Some(16)),
            ("team/pgvector:pg17", Some(17)),
            ("redis:bookworm", None),
        ] {
            assert_eq!(image.parse::<ImageRef>().unwrap().major(), major, "{image}");
        }
    }

    #[test]
    fn malformed_references_are_refused() {
        for text in [
            "",
            "postgres",
            "Postgres:15",
            "a b:1",
            "x:",
            "x:a/b",
            "redis@sha256:12",
            "/x:1",
            "h:port/x:1",
        ] {
            assert!(text.parse::<ImageRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_reference_says_what_to_write() {
        let error = "".parse::<ImageRef>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "bad image reference ``: it is empty\n  hint: name an image and a tag, for example `postgres:15`"
        );
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_parses_prints_itself(text in ".{0,40}") {
            if let Ok(image) = text.parse::<ImageRef>() {
                prop_assert_eq!(image.to_string(), text);
            }
        }
    }
}
