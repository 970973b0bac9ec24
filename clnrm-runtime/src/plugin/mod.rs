//! The trait that knows how to run one type of service, and how a type is registered.

mod check;
mod guard;
mod mistakes;
mod registration;
mod settings;

pub(crate) use guard::{guard, message_of};
pub use mistakes::Mistakes;
pub use registration::{Location, PluginRegistration, from_config};
pub use settings::Settings;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::backend::BackendKind;
use crate::engine::ambient;
use crate::error::{CleanroomError, Result};
use crate::plan::url_variable;
use crate::service::{HealthStatus, Isolation, ServiceHandle, Slice, SliceId, Spec, Var};

/// Knows how to run one type of service.
///
/// A plugin that can be said as data implements [`spec`](Self::spec) and gets
/// `start`, `stop` and `health_check` from it. One that cannot overrides those
/// three; `start` then makes what it wants through
/// [`ambient`], so that it is labelled, owned and
/// removed like everything else.
///
/// The methods are synchronous so that the trait is dyn-compatible and can be
/// called from any thread and any runtime. Use
/// [`block_on`](crate::engine::block_on) for asynchronous clients.
///
/// ```
/// use clnrm_runtime::service::{ContainerSpec, Port, Spec, Wait};
/// use clnrm_runtime::{Result, ServicePlugin};
///
/// #[derive(Debug)]
/// struct Nats;
///
/// impl ServicePlugin for Nats {
///     fn name(&self) -> &str {
///         "nats"
///     }
///
///     fn spec(&self) -> Result<Option<Spec>> {
///         let mut spec = Spec::default();
///         spec.container = Some(ContainerSpec::new("nats:2.12".parse()?));
///         spec.ports.insert("main".to_owned(), Port::tcp(4222));
///         spec.wait = Wait::log("Server is ready");
///         Ok(Some(spec))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin",
    label = "this does not know how to run a service",
    note = "give a value of a type that implements `clnrm::ServicePlugin`, as `clnrm::postgres::plugin()`"
)]
pub trait ServicePlugin: Send + Sync + fmt::Debug {
    /// The name that this plugin's service has unless its declaration says otherwise.
    fn name(&self) -> &str;

    /// Starts a service and returns when it is ready.
    ///
    /// # Errors
    /// When the service cannot be started, with everything that is known about why.
    fn start(&self) -> Result<ServiceHandle> {
        let spec = self.spec()?.ok_or_else(|| self.says_nothing())?;
        let ready = |handle: &ServiceHandle| self.ready(handle);
        let migrate = |handle: &ServiceHandle| self.migrate(handle);
        ambient::start(self.name(), self.service_type(), &spec, &ready, &migrate)
    }

    /// Stops the service of `handle` and removes everything of it. Stopping
    /// what is gone is no error.
    ///
    /// # Errors
    /// When something of it is still there afterwards.
    fn stop(&self, handle: ServiceHandle) -> Result<()> {
        ambient::stop(&handle)
    }

    /// Says how the service of `handle` is: that it runs, and that it answers
    /// as this type of service should.
    ///
    /// # Errors
    /// When it cannot be told.
    fn health_check(&self, handle: &ServiceHandle) -> Result<HealthStatus> {
        let spec = self.spec()?.ok_or_else(|| self.says_nothing())?;
        let ready = |handle: &ServiceHandle| self.ready(handle);
        ambient::health_check(handle, &spec, &ready)
    }

    /// The type of service: `postgres`, `redis`, …
    fn service_type(&self) -> &str {
        self.name()
    }

    /// The version of the plugin, not of the service.
    fn version(&self) -> Version {
        Version::new(0, 1, 0)
    }

    /// Says which directory relative paths of the configuration mean: the
    /// declaring crate's. Called once, before anything else; a plugin made by
    /// hand is not told, and its relative paths mean the working directory.
    fn base_dir(&mut self, dir: &Path) {
        let _ = dir;
    }

    /// How to run it, as data. `None` says that `start` is written by hand.
    ///
    /// # Errors
    /// When the configuration makes no sense; the message says what to change.
    fn spec(&self) -> Result<Option<Spec>> {
        Ok(None)
    }

    /// The canonical configuration: with the contents of [`inputs`](Self::inputs),
    /// what makes two declarations the same instance. The spec is always part of it.
    ///
    /// # Errors
    /// When the configuration cannot be written as JSON.
    fn config(&self) -> Result<serde_json::Value> {
        Ok(serde_json::Value::Null)
    }

    /// Files and directories whose contents are part of the configuration.
    fn inputs(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// One protocol exchange with the service; an error says why it is not
    /// ready yet. Called again and again until the deadline, when the spec
    /// waits for [`Wait::Plugin`](crate::service::Wait::Plugin).
    ///
    /// # Errors
    /// When the service does not answer as it should.
    fn ready(&self, handle: &ServiceHandle) -> Result<()> {
        let _ = handle;
        Ok(())
    }

    /// How tests that share an instance on `backend` are kept apart.
    fn isolation(&self, backend: BackendKind) -> Isolation {
        let _ = backend;
        Isolation::Instance
    }

    /// Prepares a ready instance once, before its first lease, when the spec
    /// says `migrate`.
    ///
    /// # Errors
    /// When it cannot be prepared.
    fn migrate(&self, handle: &ServiceHandle) -> Result<()> {
        let _ = handle;
        Ok(())
    }

    /// Makes a slice of the instance.
    ///
    /// # Errors
    /// When the service refuses.
    fn slice(&self, handle: &ServiceHandle, id: &SliceId) -> Result<Slice> {
        let _ = handle;
        Err(CleanroomError::service_error(format!(
            "plugin `{}` has no slices, asked for `{id}`",
            self.name()
        )))
    }

    /// Removes a slice. Removing what is gone is no error.
    ///
    /// # Errors
    /// When the slice is still there afterwards.
    fn drop_slice(&self, handle: &ServiceHandle, slice: &Slice) -> Result<()> {
        let _ = (handle, slice);
        Ok(())
    }

    /// Removes the slices that earlier runs left on an external service:
    /// those whose name `is_stale`. Returns the names.
    ///
    /// # Errors
    /// When the service refuses.
    fn sweep(
        &self,
        handle: &ServiceHandle,
        is_stale: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<String>> {
        let _ = (handle, is_stale);
        Ok(Vec::new())
    }

    /// Reads the URL of somebody else's server: where it answers, and the
    /// variables that the exports name.
    ///
    /// # Errors
    /// When this type of service cannot be external, or the URL is malformed.
    fn external(&self, url: &str) -> Result<External> {
        let _ = url;
        Err(CleanroomError::validation_error(format!(
            "plugin `{}` cannot use an external service",
            self.name()
        ))
        .with_hint(format!("unset `{}`", url_variable(self.name()))))
    }

    /// The error of a plugin that overrides neither `spec` nor `start`.
    #[doc(hidden)]
    fn says_nothing(&self) -> CleanroomError {
        CleanroomError::validation_error(format!("plugin `{}` has no spec", self.name()))
            .with_hint("implement `spec`, or `start`, `stop` and `health_check`")
    }
}

/// Somebody else's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The variables that the exports name.
    pub vars: BTreeMap<String, Var>,
}

impl External {
    /// A server at a host, by name or address, that is used with `vars`.
    #[must_use]
    pub fn new(host: &str, port: u16, vars: BTreeMap<String, Var>) -> Self {
        let bracketed = host.contains(':').then(|| format!("[{host}]"));
        let host = bracketed.unwrap_or_else(|| host.to_owned());
        Self { host, port, vars }
    }
}

const _: fn(&dyn ServicePlugin) = |_| ();
