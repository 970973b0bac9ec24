//! A derived plugin as a parameter: `store: clnrm::Running<Minio>`.

use std::any::Any;
use std::ops::Deref;

use super::own::other_plugin;
use super::{Attachment, Configured, Service};
use crate::error::{CleanroomError, Result};
use crate::plugin::ServicePlugin;
use crate::service::ServiceHandle;

/// A plugin type that a test can ask for by `Running<Self>`. The derive implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a derived plugin",
    label = "nothing says how to run `{Self}`",
    note = "add `#[derive(Debug, clnrm::ServicePlugin)]` and `#[plugin(type = \"…\", image = \"…\")]` to it",
    note = "of a plugin that is written by hand, declare a service with a value of it: `#[clnrm::service(self::Hand)] struct Store(clnrm::ServiceHandle);`"
)]
pub trait PluginType: ServicePlugin + Sized + 'static {
    /// [`Service::ID`] of `Running<Self>`.
    const ID: &'static str;

    /// [`Service::NAME`] of `Running<Self>`.
    const NAME: &'static str;

    /// [`Service::EXPORTS`] of `Running<Self>`.
    const EXPORTS: &'static [&'static str];

    /// The plugin with every field at its default.
    ///
    /// # Errors
    /// When the defaults make no valid configuration.
    fn configured() -> Result<Self>;
}

/// A running service of plugin type `P`, with the configuration that it runs with.
#[derive(Debug, Clone)]
pub struct Running<P> {
    handle: ServiceHandle,
    config: P,
}

impl<P> Running<P> {
    /// The configuration.
    pub fn config(&self) -> &P {
        &self.config
    }

    /// The handle.
    pub fn handle(&self) -> &ServiceHandle {
        &self.handle
    }
}

impl<P> Deref for Running<P> {
    type Target = ServiceHandle;

    fn deref(&self) -> &ServiceHandle {
        &self.handle
    }
}

impl<P: PluginType> Service for Running<P> {
    const ID: &'static str = P::ID;
    const NAME: &'static str = P::NAME;
    const EXPORTS: &'static [&'static str] = P::EXPORTS;

    fn attach(lease: Attachment) -> Result<Self> {
        Ok(Self {
            handle: lease.handle,
            config: P::configured()?,
        })
    }

    fn attach_configured(lease: Attachment, plugin: Configured) -> Result<Self> {
        let config = plugin()?.downcast::<P>().map_err(|_| {
            CleanroomError::validation_error(format!(
                "`{}` is declared with another plugin than `{}`",
                lease.handle.service_name,
                P::NAME
            ))
            .with_hint("hold what its plugin gives, or a `ServiceHandle`")
        })?;
        Ok(Self {
            handle: lease.handle,
            config: *config,
        })
    }

    fn check_plugin(plugin: &dyn Any, service_type: &str) -> Result<()> {
        match plugin.is::<P>() {
            true => Ok(()),
            false => Err(other_plugin(plugin, service_type, P::NAME)),
        }
    }
}
