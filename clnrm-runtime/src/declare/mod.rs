//! What a test binary declares at link time: its services, and what its tests name.

mod check;
mod declared;
mod descriptor;
mod field;
mod fixture;
mod handle;
mod own;
mod running;

pub use check::{ANY_EXPORT, assert_export, assert_holds_no_needs, assert_named_once};
pub(crate) use declared::SpecPlugin;
pub use declared::{Declared, DeclaredBin};
pub use descriptor::{
    Line, Need, NeedTree, SECTION, TestDeclaration, TestDescriptor, UnreadableDescriptor, line,
    line_len, parse_descriptors,
};
pub use field::{ConfigValue, DeclaredField, GivenConfig, configuration};
pub use fixture::{Build, Fixture, Leased, Needs};
pub use own::{Configured, Own, assert_same_plugin};
pub use running::{PluginType, Running};

use std::any::Any;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::plugin::{Location, ServicePlugin};
use crate::service::{Scope, ServiceHandle, Template};

/// A type that stands for a service: naming it in a test's signature asks for one.
///
/// Implemented by `#[clnrm::service]` and by the derive.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    label = "nothing says how to run this",
    note = "declare it with `#[clnrm::service(..)]`, or take what a plugin gives, as `Postgres` or `Running<Minio>`"
)]
pub trait Service: Sized + Send + Sync + 'static {
    /// The [`ServiceId`](crate::service::ServiceId), known to the compiler.
    const ID: &'static str;

    /// The name in filters and reports: kebab-case.
    const NAME: &'static str;

    /// The exports that `{field.export}` may name; [`ANY_EXPORT`] stands for
    /// those that only the plan knows.
    const EXPORTS: &'static [&'static str];

    /// Whether it has dependencies: of those of a service that it holds, another
    /// declaration knows nothing.
    #[doc(hidden)]
    const HAS_NEEDS: bool = false;

    /// [`attach`](Self::attach) as a value: the compiler says of a constant once
    /// that its type lacks the trait, and of a call three times.
    #[doc(hidden)]
    const ATTACH: fn(Attachment) -> Result<Self> = Self::attach;

    /// Makes the value that the test gets.
    ///
    /// # Errors
    /// When a dependency that the type holds was not leased.
    fn attach(lease: Attachment) -> Result<Self>;

    /// Makes it for a declaration that configures the plugin, for types that
    /// show the configuration.
    ///
    /// # Errors
    /// As [`attach`](Self::attach), and when the plugin is of another type.
    #[doc(hidden)]
    fn attach_configured(lease: Attachment, plugin: Configured) -> Result<Self> {
        let _ = plugin;
        Self::attach(lease)
    }

    /// Refuses a plugin that runs another type of service than this stands
    /// for, before anything is started.
    ///
    /// # Errors
    /// When it does.
    #[doc(hidden)]
    fn check_plugin(plugin: &dyn Any, service_type: &str) -> Result<()> {
        let _ = (plugin, service_type);
        Ok(())
    }
}

/// What [`Service::attach`] builds from: the handles of the service and of what it needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attachment {
    /// The service.
    pub handle: ServiceHandle,
    /// Its dependencies by field; `None` for an optional one that did not start.
    pub needs: Vec<(String, Option<Attachment>)>,
}

impl Attachment {
    /// The lease of the dependency in `field`.
    ///
    /// # Errors
    /// When it was not leased, or is an optional one that did not start.
    pub fn need(&self, field: &str) -> Result<Self> {
        self.optional_need(field)?.ok_or_else(|| {
            crate::CleanroomError::service_error(format!(
                "`{}` runs without `{field}`",
                self.handle.service_name
            ))
        })
    }

    /// The lease of the optional dependency in `field`.
    ///
    /// # Errors
    /// When the declaration has no such field.
    pub fn optional_need(&self, field: &str) -> Result<Option<Self>> {
        let Some((_, need)) = self.needs.iter().find(|(name, _)| name == field) else {
            let message = format!(
                "`{}` has no dependency in `{field}`",
                self.handle.service_name
            );
            return Err(crate::CleanroomError::internal_error(message));
        };
        Ok(need.clone())
    }
}

/// A service declared in this binary, submitted through inventory.
#[derive(Debug, Clone, Copy)]
pub struct ServiceDeclaration {
    /// [`Service::ID`].
    pub id: &'static str,
    /// [`Service::NAME`].
    pub name: &'static str,
    /// Where it is declared.
    pub location: Location,
    /// `CARGO_MANIFEST_DIR` of the declaring crate: relative paths mean it.
    pub manifest_dir: &'static str,
    /// Who owns the instance, where the declaration says so.
    pub scope: Option<Scope>,
    /// Whether tests go on without it.
    pub optional: bool,
    /// The dependencies, by field.
    pub needs: &'static [NeedDeclaration],
    /// What the declaration adds to the plugin's environment, as texts with holes.
    pub env: &'static [(&'static str, &'static str)],
    /// Makes the plugin.
    pub plugin: fn() -> Result<Arc<dyn ServicePlugin>>,
}

inventory::collect!(ServiceDeclaration);

/// A dependency of a service: a field of its struct.
#[derive(Debug, Clone, Copy)]
pub struct NeedDeclaration {
    /// The field: what `{field.export}` names.
    pub field: &'static str,
    /// [`Service::ID`] of its type.
    pub id: &'static str,
    /// Whether the field is an `Option`.
    pub optional: bool,
}

impl ServiceDeclaration {
    /// The environment as templates.
    ///
    /// # Errors
    /// When a text does not parse; the attribute has checked that it does.
    pub fn env_templates(&self) -> Result<Vec<(String, Template)>> {
        let parse = |(name, text): &(&str, &str)| {
            let template = text
                .parse()
                .map_err(|error: crate::service::TemplateError| {
                    crate::CleanroomError::validation_error(format!(
                        "environment variable `{name}` is malformed"
                    ))
                    .with_context("service", self.name)
                    .with_source(error)
                })?;
            Ok(((*name).to_owned(), template))
        };
        self.env.iter().map(parse).collect()
    }
}
