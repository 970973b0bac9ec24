//! The field of a service's struct that is the service itself.

use std::any::Any;

use super::check::ANY_EXPORT;
use super::{Attachment, Service};
use crate::error::Result;
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

    /// Makes it from the lease of the declaration that holds it.
    ///
    /// # Errors
    /// As [`Service::attach`].
    fn own(lease: Attachment, plugin: Option<Configured>) -> Result<Self>;
}

impl Own for ServiceHandle {
    const EXPORTS: &'static [&'static str] = &[ANY_EXPORT];

    fn own(lease: Attachment, _: Option<Configured>) -> Result<Self> {
        Ok(lease.handle)
    }
}

impl<S: Service> Own for S {
    const EXPORTS: &'static [&'static str] = S::EXPORTS;

    fn own(lease: Attachment, plugin: Option<Configured>) -> Result<Self> {
        match plugin {
            Some(plugin) => S::attach_configured(lease, plugin),
            None => S::attach(lease),
        }
    }
}
