//! A plugin with its state beside it: a second start is refused, a drop while it runs is repaired.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Lifecycle, LifecycleState, PluginLifecycleError};
use crate::error::Result;
use crate::plugin::{ServicePlugin, guard};
use crate::service::{HealthStatus, ServiceHandle};

/// A plugin that is started by hand, once at a time.
///
/// Dropped while it is active it warns and stops the service.
#[derive(Debug)]
pub struct Managed<P: ServicePlugin> {
    plugin: P,
    /// The state, readable at any time.
    pub state: Lifecycle,
    /// What was started, until it is stopped: a stop that failed leaves it.
    running: Mutex<Option<ServiceHandle>>,
}

impl<P: ServicePlugin> Managed<P> {
    /// Takes a plugin that has not been started.
    #[must_use]
    pub fn new(plugin: P) -> Self {
        Self {
            plugin,
            state: Lifecycle::default(),
            running: Mutex::new(None),
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it is not `Initialized`, and as the plugin's own `start`.
    pub fn start(&self) -> Result<ServiceHandle> {
        self.state.become_state(LifecycleState::Starting)?;
        let started = guard(&self.what("start"), || self.plugin.start());
        match started {
            Ok(handle) => {
                *self.running() = Some(handle.clone());
                self.state.become_state(LifecycleState::Running)?;
                Ok(handle)
            }
            Err(error) => {
                self.state.become_state(LifecycleState::Failed)?;
                Err(error)
            }
        }
    }

    /// Stops it. Stopping what is stopped already is no error.
    ///
    /// # Errors
    /// When it does not run, and as the plugin's own `stop`. What did not stop
    /// is `Failed`, and is stopped once more when this is dropped.
    pub fn stop(&self) -> Result<()> {
        if self.state.state() == LifecycleState::Stopped {
            return Ok(());
        }
        self.state.become_state(LifecycleState::Stopping)?;
        let handle = self.running().clone();
        let stopped = match handle {
            Some(handle) => guard(&self.what("stop"), || self.plugin.stop(handle)),
            None => Err(PluginLifecycleError::StopFailed("nothing runs".to_owned()).into()),
        };
        match stopped {
            Ok(()) => {
                *self.running() = None;
                self.state.become_state(LifecycleState::Stopped)?;
                Ok(())
            }
            Err(error) => {
                self.state.become_state(LifecycleState::Failed)?;
                Err(error)
            }
        }
    }

    /// Makes a stopped one ready for another start.
    ///
    /// # Errors
    /// When it is not `Stopped`.
    pub fn reset(&self) -> Result<()> {
        Ok(self.state.become_state(LifecycleState::Initialized)?)
    }

    /// How it is: unhealthy with the state's name where it does not run.
    ///
    /// # Errors
    /// As the plugin's own check.
    pub fn health_check(&self) -> Result<HealthStatus> {
        let handle = self.running().clone();
        match (self.state.state(), handle) {
            (LifecycleState::Running, Some(handle)) => guard(&self.what("health_check"), || {
                self.plugin.health_check(&handle)
            }),
            (state, _) => Ok(HealthStatus::Unhealthy(format!("it is {state}"))),
        }
    }

    fn what(&self, method: &str) -> String {
        format!("`{method}` of `{}`", self.plugin.name())
    }

    fn running(&self) -> MutexGuard<'_, Option<ServiceHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: ServicePlugin> Deref for Managed<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.plugin
    }
}

impl<P: ServicePlugin> Drop for Managed<P> {
    fn drop(&mut self) {
        let Some(handle) = self.running().take() else {
            return;
        };
        tracing::warn!(service = handle.name(), state = %self.state.state(), "dropped while active; stopping it");
        // A panic here would end the process while another one unwinds.
        let stopped = guard(&self.what("stop"), || self.plugin.stop(handle));
        if let Err(error) = stopped {
            tracing::error!(error = %error.report(), "cannot stop a service that was dropped while active");
        }
    }
}

#[cfg(test)]
mod tests;
