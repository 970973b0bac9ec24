//! `cargo clnrm plugins`: the service types that are linked, here and in the workspace's binaries.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clnrm_runtime::plan::Catalog;
use clnrm_runtime::registry;
use clnrm_runtime::{CleanroomError, Result};
use serde::Serialize;

// Named so that they are linked, and their registrations with them.
use clnrm_generic as _;
use clnrm_postgres as _;
use clnrm_redis as _;

const NAME: Style = AnsiColor::Cyan.on_default().bold();
const HEAD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// What is known of plugins.
#[derive(Debug, Serialize)]
pub struct Plugins {
    version: u32,
    built_in: Vec<BuiltIn>,
    services: Vec<Declared>,
}

#[derive(Debug, Serialize)]
struct BuiltIn {
    service_type: &'static str,
    version: &'static str,
    description: &'static str,
}

#[derive(Debug, Serialize)]
struct Declared {
    binary: String,
    name: String,
    service_type: String,
    location: String,
    /// Why the tests that need it fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Plugins {
    /// The registry of this program, and what `catalog` says of the workspace.
    ///
    /// # Errors
    /// When two registrations contradict each other.
    pub fn new(catalog: &Catalog) -> Result<Self> {
        let built_in = registry::plugins()?.into_iter().map(|plugin| BuiltIn {
            service_type: plugin.service_type,
            version: plugin.version,
            description: plugin.description,
        });
        let services = catalog.services().map(|(binary, service)| Declared {
            binary: binary.to_owned(),
            name: service.name.clone(),
            service_type: service.service_type.clone(),
            location: service.location.clone(),
            error: service.error.as_ref().map(CleanroomError::report),
        });
        Ok(Self {
            version: 1,
            built_in: built_in.collect(),
            services: services.collect(),
        })
    }

    /// For programs.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which is a bug.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "{HEAD}Built in{HEAD:#}");
        for plugin in &self.built_in {
            let BuiltIn {
                service_type,
                version,
                description,
            } = plugin;
            let _ = writeln!(
                text,
                "    {NAME}{service_type}{NAME:#} {version}  {description}"
            );
        }
        let mut binary = "";
        for service in &self.services {
            if service.binary != binary {
                binary = &service.binary;
                let _ = writeln!(text, "{HEAD}{binary}{HEAD:#}");
            }
            let Declared {
                name,
                service_type,
                location,
                error,
                ..
            } = service;
            let _ = write!(text, "    {NAME}{name}{NAME:#}  ");
            let _ = match error {
                None => writeln!(text, "{service_type}  {DIM}{location}{DIM:#}"),
                Some(error) => writeln!(
                    text,
                    "{DIM}{location}{DIM:#}\n        {BAD}error{BAD:#}: {}",
                    error.replace('\n', "\n        ")
                ),
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_in_error_shows_it() {
        let error = CleanroomError::validation_error("`Postgres` is no handle of `redis`")
            .with_hint("hold a `Redis`");
        let plugins = Plugins {
            version: 1,
            built_in: Vec::new(),
            services: vec![Declared {
                binary: "shop::it".to_owned(),
                name: "cache".to_owned(),
                service_type: String::new(),
                location: "tests/it.rs:3".to_owned(),
                error: Some(error.report()),
            }],
        };
        let text = anstream::adapter::strip_str(&plugins.text()).to_string();
        let expected = "shop::it\n    cache  tests/it.rs:3\n        \
                        error: `Postgres` is no handle of `redis`\n          hint: hold a `Redis`\n";
        assert!(text.ends_with(expected), "{text}");
        assert!(plugins.json().unwrap().contains("is no handle of"));
    }

    #[test]
    fn what_is_built_in_is_what_is_registered() {
        let plugins = Plugins::new(&Catalog::default()).unwrap();
        let types = plugins
            .built_in
            .iter()
            .map(|plugin| plugin.service_type)
            .collect::<Vec<_>>();
        assert_eq!(types, ["generic", "postgres", "redis"]);
        assert!(
            plugins
                .built_in
                .iter()
                .all(|plugin| plugin.description.len() > 10)
        );
    }
}
