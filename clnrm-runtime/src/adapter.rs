//! The older form of the plugin trait, whose methods are given a container backend, as a plugin of today's.
//!
//! New plugins implement [`plugin::ServicePlugin`],
//! which says more: ports, waits, slices, programs.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::ambient;
use crate::error::{CleanroomError, Result};
use crate::plugin;
use crate::service::{self, ContainerSpec, HealthStatus, ImageRef, Spec, Template};

/// A plugin that makes its container itself.
pub trait ServicePlugin: Send + Sync {
    /// The type of service; also its name.
    fn service_type(&self) -> &str;

    /// Makes the container.
    ///
    /// # Errors
    /// When it cannot be started; what was made until then is removed.
    fn start(&self, backend: &dyn ContainerBackend) -> Result<ServiceHandle>;

    /// Stops the container of `handle`.
    ///
    /// # Errors
    /// When something of it is still there afterwards.
    fn stop(&self, handle: &ServiceHandle, backend: &dyn ContainerBackend) -> Result<()>;

    /// Whether the service is well.
    ///
    /// # Errors
    /// When it cannot be told.
    fn health_check(&self, handle: &ServiceHandle, backend: &dyn ContainerBackend) -> Result<bool>;
}

/// What such a plugin knows of its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceHandle {
    /// The service's name.
    pub name: String,
    /// What [`ContainerBackend::create_container`] gave.
    pub container_id: String,
    /// The ports inside the container. They are published on loopback, and the
    /// image must expose them: the container is made before the plugin says so.
    pub ports: Vec<u16>,
}

/// A container that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The engine's name for it.
    pub id: String,
}

/// Makes containers: labelled, owned and removed like everything else of the run.
pub trait ContainerBackend {
    /// Makes and starts a container, and returns when it runs. The ports that
    /// its image exposes are published on loopback.
    ///
    /// # Errors
    /// When the image cannot be had, or does not start.
    fn create_container(&self, image: &str, env: &HashMap<String, String>) -> Result<Container>;

    /// Stops and removes a container. What is gone is no error.
    ///
    /// # Errors
    /// When it is not the plugin's own, or something of it is still there.
    fn stop_container(&self, id: &str) -> Result<()>;

    /// Whether a container runs.
    ///
    /// # Errors
    /// When it is not the plugin's own, or the engine does not answer.
    fn container_is_running(&self, id: &str) -> Result<bool>;
}

/// A plugin of the older form as one of today's.
///
/// ```
/// use clnrm_runtime::adapter::{Adapted, ContainerBackend, ServiceHandle, ServicePlugin};
/// use clnrm_runtime::Result;
///
/// struct Mail;
///
/// impl ServicePlugin for Mail {
///     fn service_type(&self) -> &str {
///         "mail"
///     }
///
///     fn start(&self, backend: &dyn ContainerBackend) -> Result<ServiceHandle> {
///         let container = backend.create_container("mailpit:1.27", &Default::default())?;
///         Ok(ServiceHandle { name: "mail".to_owned(), container_id: container.id, ports: vec![1025] })
///     }
///
///     fn stop(&self, handle: &ServiceHandle, backend: &dyn ContainerBackend) -> Result<()> {
///         backend.stop_container(&handle.container_id)
///     }
///
///     fn health_check(&self, handle: &ServiceHandle, backend: &dyn ContainerBackend) -> Result<bool> {
///         backend.container_is_running(&handle.container_id)
///     }
/// }
///
/// // Started, declared and registered as any other.
/// let plugin: Box<dyn clnrm_runtime::ServicePlugin> = Box::new(Adapted::new(Mail));
/// assert_eq!(plugin.name(), "mail");
/// ```
pub struct Adapted<P>(P);

impl<P: ServicePlugin> Adapted<P> {
    /// Adapts a plugin.
    #[must_use]
    pub fn new(plugin: P) -> Self {
        Self(plugin)
    }
}

impl<P: ServicePlugin> fmt::Debug for Adapted<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Adapted")
            .field(&self.0.service_type())
            .finish()
    }
}

impl<P: ServicePlugin> plugin::ServicePlugin for Adapted<P> {
    fn name(&self) -> &str {
        self.0.service_type()
    }

    fn start(&self) -> Result<service::ServiceHandle> {
        let engine = Ambient::new(self.name(), Vec::new());
        let started = self.0.start(&engine).and_then(|old| engine.only(&old));
        if started.is_err() {
            engine.stop_all();
        }
        started
    }

    fn stop(&self, handle: service::ServiceHandle) -> Result<()> {
        let old = old(&handle);
        self.0.stop(&old, &Ambient::new(self.name(), vec![handle]))
    }

    fn health_check(&self, handle: &service::ServiceHandle) -> Result<HealthStatus> {
        let engine = Ambient::new(self.name(), vec![handle.clone()]);
        Ok(match self.0.health_check(&old(handle), &engine)? {
            true => HealthStatus::Healthy,
            false => HealthStatus::Unhealthy("its plugin says that it is not well".to_owned()),
        })
    }
}

/// The older handle of a container.
fn old(handle: &service::ServiceHandle) -> ServiceHandle {
    let ports = handle.endpoints().keys();
    ServiceHandle {
        name: handle.service_name.clone(),
        container_id: handle.instance().as_str().to_owned(),
        ports: ports.filter_map(|name| name.parse().ok()).collect(),
    }
}

/// The handle with the ports that the plugin says, by their numbers, out of
/// all that the image exposes.
fn with_ports(mut handle: service::ServiceHandle, said: &[u16]) -> Result<service::ServiceHandle> {
    let said: BTreeSet<String> = said.iter().map(ToString::to_string).collect();
    let exposed = &mut handle.core.endpoints;
    if let Some(port) = said.iter().find(|port| !exposed.contains_key(*port)) {
        let service = &handle.service_name;
        let message = format!("`{service}` says port {port}, which its image does not expose");
        return Err(CleanroomError::validation_error(message).with_hint(
            "add `EXPOSE` to the image, or write a plugin of today's trait, whose spec names ports",
        ));
    }
    exposed.retain(|name, _| said.contains(name));
    Ok(service::ServiceHandle::new(
        handle.service_name,
        handle.core,
    ))
}

/// The engine of this process, with the containers that one call may know.
struct Ambient<'a> {
    service: &'a str,
    handles: Mutex<Vec<service::ServiceHandle>>,
}

impl<'a> Ambient<'a> {
    fn new(service: &'a str, handles: Vec<service::ServiceHandle>) -> Self {
        Self {
            service,
            handles: Mutex::new(handles),
        }
    }

    fn handles(&self) -> MutexGuard<'_, Vec<service::ServiceHandle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Result<service::ServiceHandle> {
        let handles = self.handles();
        let found = handles.iter().find(|it| it.instance().as_str() == id);
        found.cloned().ok_or_else(|| {
            let message = format!("`{}` has no container `{id}`", self.service);
            CleanroomError::validation_error(message)
                .with_hint("use the id that `create_container` gave")
        })
    }

    /// The container of the handle that a start gave, which must be all that it made.
    fn only(&self, old: &ServiceHandle) -> Result<service::ServiceHandle> {
        let handle = self.find(&old.container_id)?;
        let made = self.handles().len();
        if made == 1 {
            return with_ports(handle, &old.ports);
        }
        let message = format!(
            "`{}` made {made} containers, and may have one",
            self.service
        );
        Err(CleanroomError::validation_error(message)
            .with_hint("make each a service of its own, and name what it needs as fields"))
    }

    fn stop_all(&self) {
        for handle in self.handles().iter() {
            if let Err(error) = ambient::stop(handle) {
                tracing::error!(error = %error.report(), "cannot remove what a failed start left");
            }
        }
    }
}

impl ContainerBackend for Ambient<'_> {
    fn create_container(&self, image: &str, env: &HashMap<String, String>) -> Result<Container> {
        let image: ImageRef = image.parse()?;
        let env = env
            .iter()
            .map(|(name, value)| (name.clone(), Template::literal(value)));
        let container = ContainerSpec {
            exposed: true,
            ..ContainerSpec::new(image)
        };
        let spec = Spec {
            container: Some(container),
            env: env.collect(),
            ..Spec::default()
        };
        let nothing = |_: &service::ServiceHandle| Ok(());
        let handle = ambient::start(self.service, self.service, &spec, &nothing, &nothing)?;
        let id = handle.instance().as_str().to_owned();
        self.handles().push(handle);
        Ok(Container { id })
    }

    fn stop_container(&self, id: &str) -> Result<()> {
        ambient::stop(&self.find(id)?)
    }

    fn container_is_running(&self, id: &str) -> Result<bool> {
        let nothing = |_: &service::ServiceHandle| Ok(());
        let health = ambient::health_check(&self.find(id)?, &Spec::default(), &nothing)?;
        Ok(health.is_healthy())
    }
}
