//! Any image or program as a plugin.

use std::path::Path;
use std::sync::Arc;

use clnrm_runtime::plugin::{Location, PluginRegistration, from_config};
use clnrm_runtime::service::Spec;
use clnrm_runtime::{Result, ServicePlugin};

use crate::config::GenericPlugin;

/// The type of service.
const TYPE: &str = "generic";

impl ServicePlugin for GenericPlugin {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(TYPE)
    }

    fn service_type(&self) -> &str {
        TYPE
    }

    fn base_dir(&mut self, dir: &Path) {
        self.base = dir.to_owned();
    }

    fn spec(&self) -> Result<Option<Spec>> {
        self.to_spec().map(Some)
    }
}

inventory::submit! {
    PluginRegistration {
        service_type: TYPE,
        version: "0.1.0",
        description: "Any image or program, configured where it is declared.",
        location: Location { file: file!(), line: line!() },
        construct: |config| Ok(Arc::new(from_config::<GenericPlugin>(TYPE, config)?)),
    }
}
