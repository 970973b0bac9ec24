//! The whole contract between the macros and this crate: all that generated code may name.
//!
//! Nothing here is for people; it changes without notice.

pub use inventory;

pub use crate::declare::{
    Attachment, Build, ConfigValue, Configured, Declared, DeclaredBin, DeclaredField, Fixture,
    GivenConfig, Line, NeedDeclaration, NeedTree, Needs, Own, PluginType, Running, Service,
    ServiceDeclaration, TestDeclaration, assert_export, assert_holds_no_needs, assert_named_once,
    assert_same_plugin, configuration, line, line_len,
};
pub use crate::error::{CleanroomError, Result};
pub use crate::plugin::{Location, PluginRegistration, ServicePlugin};
pub use crate::service::{LogStream, Scope, ServiceHandle, Spec, Wait};
pub use crate::session::{
    Flavor, Leases, TestCase, run_async, run_async_should_panic, run_sync, run_sync_should_panic,
};
pub use {semver::Version, serde_json, std::sync::Arc};

use std::any::Any;
use std::path::Path;

use crate::declare::SpecPlugin;

/// [`Own::check_plugin`] of what a declaration holds.
type Check = fn(&dyn Any, &str) -> Result<()>;

/// The plugin of a service that is declared by attributes alone.
///
/// # Errors
/// When the declaration makes no sense, or holds the handle of a plugin; the
/// message says what to change.
pub fn declared(declared: &Declared, check: Check) -> Result<Arc<dyn ServicePlugin>> {
    let plugin = SpecPlugin::new(declared)?;
    check(&plugin, plugin.service_type())?;
    Ok(Arc::new(plugin))
}

/// The version that a derive was given: semver, as the macro and cargo have checked.
#[must_use]
pub fn version(text: &str) -> Version {
    text.parse().unwrap_or(Version::new(0, 0, 0))
}

/// The plugin of a service that is declared by an expression; relative paths
/// in it mean the declaring crate's `manifest_dir`.
///
/// # Errors
/// None today: the shape is that of [`declared`].
pub fn plugin<P>(mut plugin: P, manifest_dir: &str) -> Result<Arc<dyn ServicePlugin>>
where
    P: ServicePlugin + 'static,
{
    plugin.base_dir(Path::new(manifest_dir));
    Ok(Arc::new(plugin))
}

/// As [`plugin`], for a declaration of what holds a handle type.
///
/// # Errors
/// When the handle is of another type of service.
pub fn held_plugin<P>(plugin: P, manifest_dir: &str, check: Check) -> Result<Arc<dyn ServicePlugin>>
where
    P: ServicePlugin + 'static,
{
    check(&plugin, plugin.service_type())?;
    self::plugin(plugin, manifest_dir)
}
