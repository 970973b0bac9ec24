//! The field of a service's struct that is the service itself.

use std::any::Any;

use super::check::ANY_EXPORT;
use super::{Attachment, Service, SpecPlugin};
use crate::error::{CleanroomError, Result};
use crate::plugin::ServicePlugin;
use crate::service::ServiceHandle;

/// Makes the plugin of a declaration again, for a handle type that shows its configuration.
pub type Configured = fn() -> Result<Box<dyn Any>>;

/// What the field `handle`, or the only field of a tuple struct, may be: a
/// [`ServiceHandle`], or the handle type of a plugin. Not to be implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold the service itself",
    label = "neither `ServiceHandle` nor a plugin's handle type",
    note = "use `ServiceHandle`, or what the plugin gives, as `Postgres` or `Running<Minio>`"
)]
pub trait Own: Sized {
    /// What it exports when a plugin runs it.
    const EXPORTS: &'static [&'static str];

    /// [`Service::HAS_NEEDS`].
    const HAS_NEEDS: bool = false;

    /// Makes it from the lease of the declaration that holds it.
    ///
    /// # Errors
    /// As [`Service::attach`].
    fn own(lease: Attachment, plugin: Option<Configured>) -> Result<Self>;

    /// As [`Service::check_plugin`].
    ///
    /// # Errors
    /// When it cannot hold what this plugin runs.
    fn check_plugin(plugin: &dyn Any, service_type: &str) -> Result<()>;
}

impl Own for ServiceHandle {
    const EXPORTS: &'static [&'static str] = &[ANY_EXPORT];

    fn own(lease: Attachment, _: Option<Configured>) -> Result<Self> {
        Ok(lease.handle)
    }

    fn check_plugin(_: &dyn Any, _: &str) -> Result<()> {
        Ok(())
    }
}

impl<S: Service> Own for S {
    const EXPORTS: &'static [&'static str] = S::EXPORTS;
    const HAS_NEEDS: bool = S::HAS_NEEDS;

    fn own(lease: Attachment, plugin: Option<Configured>) -> Result<Self> {
        match plugin {
            Some(plugin) => S::attach_configured(lease, plugin),
            None => S::attach(lease),
        }
    }

    fn check_plugin(plugin: &dyn Any, service_type: &str) -> Result<()> {
        S::check_plugin(plugin, service_type)
    }
}

/// Refuses a plugin that neither is one like `own` nor says that it runs the
/// same type of service.
///
/// # Errors
/// When it is another one.
pub fn assert_same_plugin<P: ServicePlugin + 'static>(
    own: &P,
    plugin: &dyn Any,
    service_type: &str,
) -> Result<()> {
    match plugin.is::<P>() || own.service_type() == service_type {
        true => Ok(()),
        false => Err(other_plugin(plugin, service_type, own.service_type())),
    }
}

/// The error of a declaration whose plugin is not that of what it holds.
pub(super) fn other_plugin(plugin: &dyn Any, service_type: &str, held: &str) -> CleanroomError {
    if plugin.is::<SpecPlugin>() {
        return CleanroomError::validation_error(format!(
            "it is declared by options, and holds a handle of `{held}`"
        ))
        .with_hint(
            "hold a `ServiceHandle`, or give the plugin as the first argument instead of options",
        );
    }
    CleanroomError::validation_error(format!(
        "it is declared with a plugin of type `{service_type}`, and holds a handle of `{held}`"
    ))
    .with_hint(format!(
        "hold what its plugin gives, or a `ServiceHandle`; a plugin of your own for the same kind of server \
         says `{held}` as its `service_type`"
    ))
}
