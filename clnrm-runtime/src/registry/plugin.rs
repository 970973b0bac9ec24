//! The plugin types of this binary, by type and version.

use std::collections::BTreeMap;
use std::sync::Arc;

use semver::{Version, VersionReq};

use crate::error::{CleanroomError, Result};
use crate::plugin::{PluginRegistration, ServicePlugin};

/// Every plugin type that is linked into this binary, sorted by type, then by version.
///
/// # Errors
/// When one version of a type is registered twice, or a version is no version;
/// the message names the places.
pub fn plugins() -> Result<Vec<&'static PluginRegistration>> {
    let registry = PluginRegistry::linked()?;
    Ok(registry.iter().map(|plugin| plugin.registration).collect())
}

/// Plugin types by name and version. Several versions of one type may be
/// present: [`select`](Self::select) takes the newest that is asked for.
#[derive(Debug, Clone, Default)]
pub struct PluginRegistry {
    types: BTreeMap<&'static str, BTreeMap<Version, &'static PluginRegistration>>,
}

/// A plugin type of a [`PluginRegistry`].
#[derive(Debug, Clone, Copy)]
pub struct RegisteredPlugin<'a> {
    /// Its version, parsed.
    pub version: &'a Version,
    /// What the plugin's crate submitted.
    pub registration: &'static PluginRegistration,
}

impl RegisteredPlugin<'_> {
    /// Makes a plugin from its configuration; `null` is the default one.
    ///
    /// # Errors
    /// When the configuration is not one of this plugin.
    pub fn construct(&self, config: serde_json::Value) -> Result<Arc<dyn ServicePlugin>> {
        (self.registration.construct)(config)
    }
}

impl PluginRegistry {
    /// A registry without plugins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The plugins that are linked into this binary.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub fn linked() -> Result<Self> {
        let mut registry = Self::new();
        // inventory's order is an accident of linking: which of two places an
        // error names first must not be.
        let mut linked: Vec<_> = inventory::iter::<PluginRegistration>.into_iter().collect();
        linked.sort_by_key(|plugin| plugin.location);
        for registration in linked {
            registry.register(registration)?;
        }
        Ok(registry)
    }

    /// Adds a plugin type.
    ///
    /// # Errors
    /// When this version of the type is there already, or the version is not semver.
    pub fn register(&mut self, registration: &'static PluginRegistration) -> Result<()> {
        let service_type = registration.service_type;
        let version: Version = registration
            .version
            .parse()
            .map_err(|error: semver::Error| {
                CleanroomError::validation_error(format!(
                    "plugin `{service_type}` has version `{}`, which is not semver",
                    registration.version
                ))
                .with_context("registered at", registration.location)
                .with_source(error)
            })?;
        let versions = self.types.entry(service_type).or_default();
        if let Some(first) = versions.get(&version) {
            return Err(CleanroomError::validation_error(format!(
                "plugin `{service_type}` {version} is registered twice"
            ))
            .with_context("first", first.location)
            .with_context("second", registration.location)
            .with_hint("keep one of the crates, or give one another type or version"));
        }
        versions.insert(version, registration);
        Ok(())
    }

    /// Every plugin, sorted by type, then by version.
    pub fn iter(&self) -> impl Iterator<Item = RegisteredPlugin<'_>> {
        let all = self.types.values().flatten();
        all.map(|(version, registration)| RegisteredPlugin {
            version,
            registration,
        })
    }

    /// The newest version of `service_type` that `requirement` admits.
    ///
    /// # Errors
    /// When there is no such type, with a near name and how to link it; or no
    /// such version, with those there are.
    pub fn select(
        &self,
        service_type: &str,
        requirement: &VersionReq,
    ) -> Result<RegisteredPlugin<'_>> {
        let Some(versions) = self.types.get(service_type) else {
            return Err(unknown_type(service_type, self.types.keys().copied()));
        };
        let mut newest_first = versions.iter().rev();
        let found = newest_first.find(|(version, _)| requirement.matches(version));
        let (version, registration) = found.ok_or_else(|| {
            let known: Vec<_> = versions.keys().map(Version::to_string).collect();
            CleanroomError::validation_error(format!(
                "no version of plugin `{service_type}` matches `{requirement}`"
            ))
            .with_hint(format!("linked here: `{}`", known.join("`, `")))
        })?;
        Ok(RegisteredPlugin {
            version,
            registration,
        })
    }
}

/// The error of a type that is not linked: a near name, what there is, and how to link one.
pub(super) fn unknown_type<'a>(
    service_type: &str,
    known: impl Iterator<Item = &'a str>,
) -> CleanroomError {
    let known: Vec<_> = known.collect();
    let error =
        CleanroomError::validation_error(format!("no plugin of type `{service_type}` is linked"));
    let error = match known.as_slice() {
        [] => error,
        _ => error.with_context("linked", format!("`{}`", known.join("`, `"))),
    };
    let near = known
        .into_iter()
        .filter(|name| strsim::damerau_levenshtein(name, service_type) <= 2)
        .min_by_key(|name| strsim::damerau_levenshtein(name, service_type));
    error.with_hint(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "a crate that no source names is not linked: add `use clnrm_{} as _;` to the test",
            service_type.replace('-', "_")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Location;

    fn leak(
        service_type: &'static str,
        version: &'static str,
        line: u32,
    ) -> &'static PluginRegistration {
        Box::leak(Box::new(PluginRegistration {
            service_type,
            version,
            description: "",
            location: Location {
                file: "src/lib.rs",
                line,
            },
            construct: |_| Err(CleanroomError::internal_error("not made in this test")),
        }))
    }

    fn registry(plugins: &[(&'static str, &'static str)]) -> PluginRegistry {
        let mut registry = PluginRegistry::new();
        for (service_type, version) in plugins {
            registry.register(leak(service_type, version, 1)).unwrap();
        }
        registry
    }

    #[test]
    fn plugins_come_by_type_then_by_version_and_not_by_text() {
        let registry = registry(&[
            ("redis", "1.0.0"),
            ("postgres", "0.10.0"),
            ("postgres", "0.9.0"),
        ]);
        let order: Vec<_> = registry
            .iter()
            .map(|plugin| format!("{} {}", plugin.registration.service_type, plugin.version))
            .collect();
        assert_eq!(order, ["postgres 0.9.0", "postgres 0.10.0", "redis 1.0.0"]);
    }

    #[test]
    fn the_newest_version_that_is_asked_for_is_selected() {
        let registry = registry(&[("db", "1.2.0"), ("db", "1.10.0"), ("db", "2.0.0")]);
        let select = |requirement: &str| {
            let plugin = registry.select("db", &requirement.parse().unwrap());
            plugin.map(|plugin| plugin.version.to_string())
        };
        assert_eq!(select("^1").unwrap(), "1.10.0");
        assert_eq!(select("*").unwrap(), "2.0.0");
        insta::assert_snapshot!(select("^3").unwrap_err(), @r"
        no version of plugin `db` matches `^3`
          hint: linked here: `1.2.0`, `1.10.0`, `2.0.0`
        ");
    }

    #[test]
    fn one_version_twice_names_both_places() {
        let mut registry = PluginRegistry::new();
        registry.register(leak("db", "1.0.0", 3)).unwrap();
        let error = registry.register(leak("db", "1.0.0", 8)).unwrap_err();
        insta::assert_snapshot!(error, @r"
        plugin `db` 1.0.0 is registered twice
          first: src/lib.rs:3
          second: src/lib.rs:8
          hint: keep one of the crates, or give one another type or version
        ");
    }

    #[test]
    fn a_version_that_is_none_names_its_place() {
        let error = PluginRegistry::new()
            .register(leak("db", "one", 3))
            .unwrap_err();
        assert_eq!(
            error.message(),
            "plugin `db` has version `one`, which is not semver"
        );
        assert_eq!(error.context("registered at"), Some("src/lib.rs:3"));
    }

    #[test]
    fn an_unknown_type_says_what_is_near_or_how_to_link_it() {
        let registry = registry(&[("postgres", "1.0.0"), ("redis", "1.0.0")]);
        let error = |name| registry.select(name, &VersionReq::STAR).unwrap_err();
        insta::assert_snapshot!(error("postgers"), @r"
        no plugin of type `postgers` is linked
          linked: `postgres`, `redis`
          hint: did you mean `postgres`?
        ");
        insta::assert_snapshot!(error("otel-collector"), @r"
        no plugin of type `otel-collector` is linked
          linked: `postgres`, `redis`
          hint: a crate that no source names is not linked: add `use clnrm_otel_collector as _;` to the test
        ");
    }
}
