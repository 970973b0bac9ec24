//! What a declaration says, as data that another process can plan with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::backend::BackendKind;
use crate::error::CleanroomError;
use crate::service::{Isolation, Scope, ServiceId, Spec};

/// A service, as its declaration and its plugin say it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceDescription {
    /// The declaration.
    pub id: ServiceId,
    /// Its name in filters, reports and `CLNRM_<NAME>_URL`.
    pub name: String,
    /// `file:line`.
    pub location: String,
    /// The type of plugin.
    pub service_type: String,
    /// The plugin's version.
    pub version: String,
    /// Who owns the instance, where the declaration says so.
    pub scope: Option<Scope>,
    /// Whether tests go on without it.
    pub optional: bool,
    /// The dependencies by field.
    pub needs: Vec<NeedDescription>,
    /// The hash of canonical configuration, spec and contents of the inputs.
    pub fingerprint: String,
    /// Absolute paths of the files and directories that it covers.
    #[serde(default)]
    pub inputs: Vec<PathBuf>,
    /// How to run it; absent when `start` is written by hand.
    pub spec: Option<Spec>,
    /// How tests that share an instance are kept apart, by backend.
    pub isolation: BTreeMap<BackendKind, Isolation>,
    /// Why it cannot be described: the tests that need it fail with this.
    #[serde(default)]
    pub error: Option<CleanroomError>,
}

/// A dependency, as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedDescription {
    /// The field.
    pub field: String,
    /// The declaration of the field's type.
    pub id: ServiceId,
    /// Whether the field is an `Option`.
    pub optional: bool,
}
