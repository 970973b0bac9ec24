//! The plugin objects of this process, by the service that they run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::service::declarations;
use crate::declare::ServiceDeclaration;
use crate::error::{CleanroomError, Result};
use crate::plugin::{ServicePlugin, guard};
use crate::service::ServiceId;

/// The plugins of a process, each made when it is first asked for.
#[derive(Debug, Default)]
pub struct PluginSet {
    declared: BTreeMap<ServiceId, &'static ServiceDeclaration>,
    made: Mutex<BTreeMap<ServiceId, Arc<dyn ServicePlugin>>>,
}

impl PluginSet {
    /// The plugins of the services that this binary declares.
    ///
    /// # Errors
    /// As [`declarations`].
    pub fn linked() -> Result<Self> {
        let all = declarations()?;
        let declared = all
            .into_iter()
            .map(|declaration| (ServiceId::new(declaration.id), declaration));
        Ok(Self {
            declared: declared.collect(),
            made: Mutex::default(),
        })
    }

    /// These plugins and no others.
    pub fn new(plugins: impl IntoIterator<Item = (ServiceId, Arc<dyn ServicePlugin>)>) -> Self {
        Self {
            declared: BTreeMap::new(),
            made: Mutex::new(plugins.into_iter().collect()),
        }
    }

    /// Adds a plugin that nobody declared.
    pub(crate) fn insert(&self, service: ServiceId, plugin: Arc<dyn ServicePlugin>) {
        self.made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(service, plugin);
    }

    /// The plugin of `service`.
    ///
    /// # Errors
    /// When this process has no such service, or its configuration makes no plugin.
    pub fn get(&self, service: &ServiceId) -> Result<Arc<dyn ServicePlugin>> {
        // Making a plugin is the user's code, and is done under the lock so
        // that it is done once; a panic in it is caught before it gets here.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = made.get(service) {
            return Ok(Arc::clone(plugin));
        }
        let declaration = self.declared.get(service).ok_or_else(|| {
            CleanroomError::plan_error(format!("service `{service}` is not in this binary"))
        })?;
        let plugin = guard(
            &format!("the configuration of `{}`", declaration.name),
            declaration.plugin,
        )?;
        made.insert(service.clone(), Arc::clone(&plugin));
        Ok(plugin)
    }
}
