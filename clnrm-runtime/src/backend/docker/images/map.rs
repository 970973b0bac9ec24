//! `[images]`: which image is used in place of which.

use std::collections::BTreeMap;

use crate::error::{CleanroomError, Result};
use crate::service::ImageRef;

/// Docker's registry, as a reference without one means it.
const DEFAULT_REGISTRY: &str = "docker.io";

/// Applies `[images]` to the name of an image.
///
/// A key is a whole reference, `postgres:15`, or the start of one followed by
/// `*`: `docker.io/*`, `postgres:*`. The value is what is used instead; what
/// `*` stood for in the key takes the place of `*` in the value. A whole
/// reference goes before a start, and a longer start before a shorter one. A
/// reference is looked up as it is written and then in full: `postgres:15` is
/// also `docker.io/library/postgres:15`. What is mapped is not mapped again.
///
/// ```
/// use std::collections::BTreeMap;
/// use clnrm_runtime::backend::docker::images::map;
///
/// let mapping = BTreeMap::from([
///     ("postgres:15".to_owned(), "clnrm-test/postgres:15".to_owned()),
///     ("docker.io/*".to_owned(), "mirror.local:5000/*".to_owned()),
/// ]);
/// let mapped = |name: &str| map(&name.parse()?, &mapping).map(|image| image.to_string());
/// assert_eq!(mapped("postgres:15")?, "clnrm-test/postgres:15");
/// assert_eq!(mapped("redis:7")?, "mirror.local:5000/library/redis:7");
/// assert_eq!(mapped("ghcr.io/a/b:1")?, "ghcr.io/a/b:1");
/// # Ok::<(), clnrm_runtime::CleanroomError>(())
/// ```
///
/// # Errors
/// When what comes out is no image reference.
pub fn map(image: &ImageRef, mapping: &BTreeMap<String, String>) -> Result<ImageRef> {
    let written = image.to_string();
    let full = in_full(image);
    let Some((key, mapped)) = find(&[&written, &full], mapping) else {
        return Ok(image.clone());
    };
    mapped.parse().map_err(|error: CleanroomError| {
        CleanroomError::validation_error(format!(
            "`{key}` under `[images]` maps `{written}` to `{mapped}`, which is no image reference"
        ))
        .with_hint("map whole references to whole references, and `start/*` to `other/*`")
        .with_source(error)
    })
}

fn find<'a>(names: &[&str], mapping: &'a BTreeMap<String, String>) -> Option<(&'a str, String)> {
    let whole = names.iter().find_map(|name| mapping.get_key_value(*name));
    if let Some((key, value)) = whole {
        return Some((key, value.clone()));
    }
    let starts = mapping.iter().filter_map(|(key, value)| {
        let start = key.strip_suffix('*')?;
        let rest = names.iter().find_map(|name| name.strip_prefix(start))?;
        Some((key.as_str(), value.replacen('*', rest, 1)))
    });
    starts.max_by_key(|(key, _)| key.len())
}

/// With the registry, and with `library/` for the images of Docker itself.
fn in_full(image: &ImageRef) -> String {
    let repository = image.repository();
    let has_registry = repository
        .split_once('/')
        .is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost");
    match (has_registry, repository.contains('/')) {
        (true, _) => image.to_string(),
        (false, true) => format!("{DEFAULT_REGISTRY}/{image}"),
        (false, false) => format!("{DEFAULT_REGISTRY}/library/{image}"),
    }
}

/// The registry of an image, as credentials are filed under it.
pub(super) fn registry(image: &ImageRef) -> String {
    let full = in_full(image);
    match full.split_once('/') {
        Some((DEFAULT_REGISTRY, _)) | None => "https://index.docker.io/v1/".to_owned(),
        Some((registry, _)) => registry.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&str, &str)], image: &str, expected: &str) {
        let mapping = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let mapped = map(&image.parse().unwrap(), &mapping).unwrap();
        assert_eq!(mapped.to_string(), expected);
    }

    #[test]
    fn whole_references_go_before_starts_and_long_starts_before_short_ones() {
        let pairs = [
            ("postgres:15", "exact:1"),
            ("postgres:*", "tags:*"),
            ("docker.io/*", "mirror.local/*"),
            ("docker.io/team/*", "team.local/*"),
        ];
        check(&pairs, "postgres:15", "exact:1");
        check(
            &pairs,
            "docker.io/library/postgres:15",
            "mirror.local/library/postgres:15",
        );
        check(&pairs, "redis:7", "mirror.local/library/redis:7");
        check(&pairs, "team/app:2", "team.local/app:2");
        check(&pairs, "ghcr.io/x/y:3", "ghcr.io/x/y:3");
    }

    #[test]
    fn a_start_on_the_name_as_it_is_written_keeps_the_tag() {
        check(
            &[("postgres:*", "clnrm-test/postgres:*")],
            "postgres:16",
            "clnrm-test/postgres:16",
        );
        check(
            &[("*", "localhost:5000/*")],
            "redis:7",
            "localhost:5000/redis:7",
        );
    }

    #[test]
    fn a_name_in_full_also_matches_a_short_one() {
        check(&[("docker.io/library/redis:7", "a:1")], "redis:7", "a:1");
    }

    #[test]
    fn digests_survive_a_mirror() {
        let digest = "0a".repeat(32);
        check(
            &[("docker.io/*", "mirror.local/*")],
            &format!("redis@sha256:{digest}"),
            &format!("mirror.local/library/redis@sha256:{digest}"),
        );
    }

    #[test]
    fn what_is_mapped_is_not_mapped_again() {
        check(&[("a:1", "b:1"), ("b:1", "c:1")], "a:1", "b:1");
    }

    #[test]
    fn a_mapping_to_no_reference_is_an_error() {
        let mapping = BTreeMap::from([("postgres:15".to_owned(), "postgres".to_owned())]);
        let error = map(&"postgres:15".parse().unwrap(), &mapping).unwrap_err();
        insta::assert_snapshot!(error, @r"
        `postgres:15` under `[images]` maps `postgres:15` to `postgres`, which is no image reference
          hint: map whole references to whole references, and `start/*` to `other/*`
        ");
    }

    #[test]
    fn credentials_are_filed_by_registry() {
        let of = |name: &str| registry(&name.parse().unwrap());
        assert_eq!(of("postgres:15"), "https://index.docker.io/v1/");
        assert_eq!(of("ghcr.io/a/b:1"), "ghcr.io");
        assert_eq!(of("localhost:5000/a:1"), "localhost:5000");
    }
}
