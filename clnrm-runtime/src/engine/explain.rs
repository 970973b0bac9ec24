//! What every error of a start says besides what went wrong: the service, the phase, what was run.

use crate::backend::{BackendKind, Source};
use crate::error::{CleanroomError, Result};
use crate::plan::{PlannedInstance, url_variable};
use crate::service::{ServiceId, Spec};

/// Adds what is not said yet: whoever was nearer knew better.
pub(super) fn explain(
    error: CleanroomError,
    planned: &PlannedInstance,
    phase: &str,
) -> CleanroomError {
    if error.context("phase").is_some() {
        return error;
    }
    let service = format!("{} ({})", planned.name, planned.description.service_type);
    let error = if error.context("service").is_none() {
        error.with_context("service", service)
    } else {
        error
    };
    if planned.error.is_some() {
        // It was never begun.
        return error;
    }
    error
        .with_context("phase", phase)
        .with_context("from", from(planned))
}

fn from(planned: &PlannedInstance) -> String {
    match &planned.source {
        Some(Source::Image(image)) => format!("image `{image}`"),
        Some(Source::Program { path, .. }) => format!("program `{}`", path.display()),
        None if planned.backend == BackendKind::External => {
            format!("`{}`", url_variable(&planned.name))
        }
        None => "its plugin".to_owned(),
    }
}

/// The declaration whose code stands for the instance.
pub(super) fn declared(planned: &PlannedInstance) -> Result<ServiceId> {
    let first = planned.services.first().map(|declared| declared.id.clone());
    first.ok_or_else(|| {
        CleanroomError::internal_error(format!("nobody declares `{}`", planned.name))
    })
}

pub(super) fn spec_of(planned: &PlannedInstance) -> Result<&Spec> {
    let spec = planned.description.spec.as_ref();
    spec.ok_or_else(|| CleanroomError::internal_error(format!("`{}` has no spec", planned.name)))
}

pub(super) fn source_of(planned: &PlannedInstance) -> Result<&Source> {
    let source = planned.source.as_ref();
    source.ok_or_else(|| {
        CleanroomError::internal_error(format!("`{}` has neither image nor program", planned.name))
    })
}
