//! The spans that the engine records, each with its status and its error.
//!
//! Their fields are OpenTelemetry's where those have a meaning of their own:
//! `otel.status_code` and `otel.status_description`.

use std::future::Future;

use tracing::field::Empty;
use tracing::{Instrument, Span, info_span};

use super::table::Instance;
use crate::error::Result;
use crate::plan::PlannedInstance;
use crate::service::{OwnerId, ServiceHandle};

/// The whole start of an instance, its dependencies excepted.
pub(super) fn plugin_start(owner: &OwnerId, planned: &PlannedInstance) -> Span {
    info_span!(
        "plugin_start",
        service = %planned.name,
        backend = %planned.backend,
        owner = %owner,
        error = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// One attempt to create and start it on its backend.
pub(super) fn container_start(planned: &PlannedInstance) -> Span {
    info_span!(
        "container_start",
        service = %planned.name,
        backend = %planned.backend,
        error = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// One look at its health.
pub(super) fn plugin_health_check(handle: &ServiceHandle) -> Span {
    info_span!(
        "plugin_health_check",
        service = %handle.name(),
        instance = %handle.instance(),
        health = Empty,
        error = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Its end, until nothing of it is there.
pub(super) fn plugin_stop(instance: &Instance) -> Span {
    info_span!(
        "plugin_stop",
        service = %instance.handle.name(),
        backend = %instance.backend,
        owner = %instance.owner,
        error = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Does something in a span, and records in it how that ended.
pub(super) async fn traced<T>(span: Span, work: impl Future<Output = Result<T>>) -> Result<T> {
    let outcome = work.instrument(span.clone()).await;
    match &outcome {
        Ok(_) => {
            span.record("otel.status_code", "OK");
        }
        Err(error) => {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", error.message());
            span.record("error", error.report());
        }
    }
    outcome
}
