//! What a plugin crate submits at link time about its type.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::ServicePlugin;
use crate::error::{CleanroomError, Result};

/// A place in a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file, as the compiler was given it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A type of service that is linked into this binary.
///
/// Submitted with `inventory::submit!` by the derive, or by hand. A crate that
/// no source names is never linked, and its submissions vanish: `use it as _;`.
#[derive(Debug, Clone, Copy)]
pub struct PluginRegistration {
    /// The type: `postgres`.
    pub service_type: &'static str,
    /// The plugin's version, semver.
    pub version: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Where it is registered.
    pub location: Location,
    /// Makes a plugin of this type from its configuration as JSON; `null` is
    /// the default configuration.
    pub construct: fn(serde_json::Value) -> Result<Arc<dyn ServicePlugin>>,
}

inventory::collect!(PluginRegistration);

/// Reads the configuration that [`PluginRegistration::construct`] is given.
///
/// # Errors
/// When a key is unknown, or a value is of the wrong type.
pub fn from_config<T>(service_type: &str, config: serde_json::Value) -> Result<T>
where
    T: DeserializeOwned + Default,
{
    if config.is_null() {
        return Ok(T::default());
    }
    serde_json::from_value(config).map_err(|error| {
        CleanroomError::validation_error(format!("bad configuration of plugin `{service_type}`"))
            .with_source(error)
    })
}
