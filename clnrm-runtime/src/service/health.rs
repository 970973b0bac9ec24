//! How a running service is doing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The answer of a health check.
///
/// A probe that could not be made is an error or [`HealthStatus::Unhealthy`],
/// never [`HealthStatus::Healthy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthStatus {
    /// It runs and answers as its plugin expects.
    Healthy,
    /// It does not, for this reason.
    Unhealthy(String),
    /// It runs without an optional service that it names.
    Degraded(String),
    /// Nobody has asked yet.
    Unknown,
}

impl HealthStatus {
    /// Whether tests may use the service without surprises.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Unhealthy(reason) => write!(f, "unhealthy: {reason}"),
            Self::Degraded(reason) => write!(f, "degraded: {reason}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
