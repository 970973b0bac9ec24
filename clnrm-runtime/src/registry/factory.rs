//! Makes plugins from a type's name and a configuration, for what is written as text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::plugin::{PluginRegistry, unknown_type};
use crate::error::{CleanroomError, Result};
use crate::plugin::ServicePlugin;

/// Makes a plugin from its configuration; `null` is the default one.
pub type Construct = dyn Fn(serde_json::Value) -> Result<Arc<dyn ServicePlugin>> + Send + Sync;

/// Makes plugins by the name of their type.
///
/// ```
/// use std::sync::Arc;
///
/// use clnrm_runtime::registry::ServiceFactory;
/// use clnrm_runtime::{Result, ServicePlugin};
///
/// #[derive(Debug)]
/// struct Mail;
///
/// impl ServicePlugin for Mail {
///     fn name(&self) -> &str {
///         "mail"
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let mut factory = ServiceFactory::new();
/// factory.register("mail", Box::new(|_config| Ok(Arc::new(Mail))))?;
/// assert_eq!(factory.create("mail", serde_json::Value::Null)?.name(), "mail");
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct ServiceFactory {
    types: BTreeMap<String, Box<Construct>>,
}

impl ServiceFactory {
    /// A factory that knows no type.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A factory of the newest version of each plugin type of `registry`.
    #[must_use]
    pub fn of(registry: &PluginRegistry) -> Self {
        let mut factory = Self::new();
        for plugin in registry.iter() {
            let construct = plugin.registration.construct;
            // The registry goes from the oldest version to the newest.
            factory.types.insert(
                plugin.registration.service_type.to_owned(),
                Box::new(construct),
            );
        }
        factory
    }

    /// Teaches the factory a type.
    ///
    /// # Errors
    /// When it knows the type already.
    pub fn register(
        &mut self,
        service_type: impl Into<String>,
        construct: Box<Construct>,
    ) -> Result<&mut Self> {
        let service_type = service_type.into();
        if self.types.contains_key(&service_type) {
            return Err(CleanroomError::validation_error(format!(
                "service type `{service_type}` is registered twice"
            )));
        }
        self.types.insert(service_type, construct);
        Ok(self)
    }

    /// The types it knows, sorted.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(String::as_str)
    }

    /// Makes a plugin of `service_type`.
    ///
    /// # Errors
    /// When the type is unknown, or the configuration is not one of its plugin.
    pub fn create(
        &self,
        service_type: &str,
        config: serde_json::Value,
    ) -> Result<Arc<dyn ServicePlugin>> {
        let construct = self.types.get(service_type);
        construct.ok_or_else(|| unknown_type(service_type, self.types()))?(config)
    }
}

impl fmt::Debug for ServiceFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.types.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::{Declared, SpecPlugin};
    use crate::plugin::{Location, PluginRegistration};

    fn named(name: &'static str) -> Result<Arc<dyn ServicePlugin>> {
        let declared = Declared {
            name,
            program: Some("true"),
            ..Declared::default()
        };
        Ok(Arc::new(SpecPlugin::new(&declared)?))
    }

    #[test]
    fn a_type_registered_twice_is_an_error() {
        let mut factory = ServiceFactory::new();
        factory.register("t", Box::new(|_| named("one"))).unwrap();
        let error = factory
            .register("t", Box::new(|_| named("two")))
            .unwrap_err();
        assert_eq!(error.message(), "service type `t` is registered twice");
        let plugin = factory.create("t", serde_json::Value::Null).unwrap();
        assert_eq!(plugin.name(), "one");
    }

    #[test]
    fn an_unknown_type_is_an_error() {
        let error = ServiceFactory::new()
            .create("t", serde_json::Value::Null)
            .unwrap_err();
        assert_eq!(error.message(), "no plugin of type `t` is linked");
    }

    #[test]
    fn the_newest_version_of_a_registered_type_is_made() {
        let registration = |version, construct| {
            let location = Location { file: "", line: 1 };
            Box::leak(Box::new(PluginRegistration {
                service_type: "t",
                version,
                description: "",
                location,
                construct,
            }))
        };
        let mut registry = PluginRegistry::new();
        registry
            .register(registration("2.0.0", |_| named("new")))
            .unwrap();
        registry
            .register(registration("1.0.0", |_| named("old")))
            .unwrap();
        let factory = ServiceFactory::of(&registry);
        let plugin = factory.create("t", serde_json::Value::Null).unwrap();
        assert_eq!(plugin.name(), "new");
    }
}
