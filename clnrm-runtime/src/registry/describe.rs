//! What a declaration says, as data that another process can plan with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fingerprint::fingerprint;
use super::service::declarations;
use crate::backend::BackendKind;
use crate::declare::ServiceDeclaration;
use crate::error::{CleanroomError, Result};
use crate::plan::{NeedDescription, ServiceDescription};
use crate::plugin::{ServicePlugin, guard};
use crate::service::{InstanceKey, Isolation, ServiceId, Spec};

/// Where an instance may run, as far as isolation goes.
const BACKENDS: [BackendKind; 5] = [
    BackendKind::Docker,
    BackendKind::Process,
    BackendKind::External,
    BackendKind::Plugin,
    BackendKind::Fake,
];

/// Describes every service of this binary, sorted by id.
///
/// # Errors
/// As [`declarations`]. What is wrong with one service is in its description.
pub fn describe_all() -> Result<Vec<ServiceDescription>> {
    Ok(declarations()?.into_iter().map(describe).collect())
}

/// Describes a service. What is wrong with it is in
/// [`ServiceDescription::error`], a panic of its plugin included.
#[must_use]
pub fn describe(declaration: &ServiceDeclaration) -> ServiceDescription {
    let what = format!("the configuration of `{}`", declaration.name);
    let told = guard(&what, || ask(declaration));
    let mut description = ServiceDescription {
        id: ServiceId::new(declaration.id),
        name: declaration.name.to_owned(),
        location: declaration.location.to_string(),
        service_type: String::new(),
        version: String::new(),
        scope: declaration.scope,
        optional: declaration.optional,
        needs: needs(declaration),
        fingerprint: InstanceKey::of([declaration.id]).to_string(),
        inputs: Vec::new(),
        spec: None,
        isolation: BTreeMap::new(),
        error: None,
    };
    match told {
        Ok(told) => {
            description.service_type = told.service_type;
            description.version = told.version;
            description.fingerprint = told.fingerprint;
            description.inputs = told.inputs;
            description.spec = told.spec;
            description.isolation = told.isolation;
        }
        Err(error) => {
            let error = error.with_context("service", declaration.name);
            description.error = Some(error.with_context("declared at", declaration.location));
        }
    }
    description
}

/// What only the plugin knows.
struct Told {
    service_type: String,
    version: String,
    fingerprint: String,
    inputs: Vec<PathBuf>,
    spec: Option<Spec>,
    isolation: BTreeMap<BackendKind, Isolation>,
}

fn ask(declaration: &ServiceDeclaration) -> Result<Told> {
    let plugin = (declaration.plugin)()?;
    let spec = spec(declaration, plugin.as_ref())?;
    let manifest_dir = Path::new(declaration.manifest_dir);
    Ok(Told {
        service_type: plugin.service_type().to_owned(),
        version: plugin.version().to_string(),
        fingerprint: fingerprint(plugin.as_ref(), spec.as_ref(), manifest_dir)?,
        inputs: plugin
            .inputs()
            .iter()
            .map(|path| manifest_dir.join(path))
            .collect(),
        spec,
        isolation: BACKENDS
            .into_iter()
            .map(|backend| (backend, plugin.isolation(backend)))
            .collect(),
    })
}

/// The plugin's spec with the declaration's environment in it.
fn spec(declaration: &ServiceDeclaration, plugin: &dyn ServicePlugin) -> Result<Option<Spec>> {
    let env = declaration.env_templates()?;
    match plugin.spec()? {
        Some(spec) if spec.container.is_none() && spec.process.is_none() => {
            let message = format!("the spec of plugin `{}` says nothing to run", plugin.name());
            Err(CleanroomError::validation_error(message)
                .with_hint("set `container`, `process`, or both"))
        }
        Some(mut spec) => {
            spec.env.extend(env);
            Ok(Some(spec))
        }
        None if env.is_empty() => Ok(None),
        None => {
            let message = format!(
                "plugin `{}` starts by hand, so that `env` does not reach it",
                plugin.name()
            );
            Err(CleanroomError::validation_error(message)
                .with_hint("remove `env`, or configure the plugin itself"))
        }
    }
}

fn needs(declaration: &ServiceDeclaration) -> Vec<NeedDescription> {
    let needs = declaration.needs.iter().map(|need| NeedDescription {
        field: need.field.to_owned(),
        id: ServiceId::new(need.id),
        optional: need.optional,
    });
    needs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::{Declared, NeedDeclaration, SpecPlugin};
    use crate::plugin::Location;
    use std::sync::Arc;

    const SHOP: ServiceDeclaration = ServiceDeclaration {
        id: "shop/it/it::Shop",
        name: "shop",
        location: Location {
            file: "tests/it.rs",
            line: 7,
        },
        manifest_dir: "",
        scope: None,
        optional: false,
        needs: &[NeedDeclaration {
            field: "db",
            id: "shop/it/it::Db",
            optional: true,
        }],
        env: &[("DATABASE_URL", "{db.url}")],
        plugin: || {
            let declared = Declared {
                name: "shop",
                program: Some("shop"),
                ports: &[("main", 80)],
                ..Declared::default()
            };
            Ok(Arc::new(SpecPlugin::new(&declared)?))
        },
    };

    #[derive(Debug)]
    struct ByHand;

    impl ServicePlugin for ByHand {
        fn name(&self) -> &str {
            "by-hand"
        }
    }

    #[test]
    fn the_environment_of_the_declaration_is_in_the_spec() {
        let description = describe(&SHOP);
        assert!(description.error.is_none());
        let spec = description.spec.unwrap();
        assert_eq!(spec.env["DATABASE_URL"].to_string(), "{db.url}");
        assert_eq!(spec.env["PORT"].to_string(), "{port}");
        assert_eq!(description.needs[0].field, "db");
        let plain = ServiceDeclaration { env: &[], ..SHOP };
        assert_ne!(describe(&plain).fingerprint, description.fingerprint);
    }

    #[test]
    fn an_error_of_the_plugin_is_in_the_description() {
        let wrong = ServiceDeclaration {
            plugin: || Ok(Arc::new(SpecPlugin::new(&Declared::default())?)),
            ..SHOP
        };
        let error = describe(&wrong).error.unwrap();
        assert_eq!(error.context("declared at"), Some("tests/it.rs:7"));
        assert_eq!(error.context("service"), Some("shop"));
    }

    #[test]
    fn a_panic_of_the_plugin_is_in_the_description() {
        let wrong = ServiceDeclaration {
            plugin: || panic!("no such file"),
            ..SHOP
        };
        let error = describe(&wrong).error.unwrap();
        assert_eq!(
            error.message(),
            "the configuration of `shop` panicked: no such file"
        );
    }

    #[test]
    fn environment_that_reaches_nobody_is_an_error() {
        let by_hand = ServiceDeclaration {
            plugin: || Ok(Arc::new(ByHand)),
            ..SHOP
        };
        let error = describe(&by_hand).error.unwrap();
        assert_eq!(
            error.message(),
            "plugin `by-hand` starts by hand, so that `env` does not reach it"
        );
        let description = describe(&ServiceDeclaration {
            env: &[],
            ..by_hand
        });
        assert!(description.error.is_none() && description.spec.is_none());
    }
}
