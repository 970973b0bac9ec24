//! What makes a service ready, as data; `crate::wait` does the waiting.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::template::Template;
use crate::error::Result;

/// The stream of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What makes a service ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wait {
    /// Ready as soon as it runs.
    #[default]
    Running,
    /// A log line matches, `count` times.
    Log {
        /// A regular expression.
        pattern: String,
        /// Either stream when absent.
        stream: Option<LogStream>,
        /// How many matching lines, from 1.
        count: u32,
    },
    /// An HTTP GET answers as expected.
    Http {
        /// The name of the port; the first when absent.
        port: Option<String>,
        /// For example `/healthz`.
        path: String,
        /// The expected status; any of 200 to 399 when absent.
        status: Option<u16>,
        /// A regular expression that the body matches.
        body: Option<String>,
    },
    /// A TCP connection is accepted.
    Tcp {
        /// The name of the port; the first when absent.
        port: Option<String>,
    },
    /// A command run inside the instance exits with 0.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// The image's own health check says healthy.
    Healthcheck,
    /// The plugin's `ready` exchange succeeds.
    Plugin,
    /// Every one of them.
    All(Vec<Wait>),
    /// The first of them.
    Any(Vec<Wait>),
}

impl Wait {
    /// The deadline when a spec names none: testcontainers' own 60 s.
    pub const TIMEOUT: Duration = Duration::from_secs(60);

    /// An HTTP GET of `path` on the first port.
    #[must_use]
    pub fn http(path: impl Into<String>) -> Self {
        Self::Http {
            port: None,
            path: path.into(),
            status: None,
            body: None,
        }
    }

    /// A log line that matches, once.
    #[must_use]
    pub fn log(pattern: impl Into<String>) -> Self {
        Self::Log {
            pattern: pattern.into(),
            stream: None,
            count: 1,
        }
    }

    /// Whether the plugin's own code takes part.
    #[must_use]
    pub fn asks_plugin(&self) -> bool {
        match self {
            Self::Plugin => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::asks_plugin),
            _ => false,
        }
    }

    /// The exports of a service with ports that says no others: `host`, `port`
    /// and `url`, of HTTP where that makes it ready, else of TCP.
    ///
    /// # Errors
    /// None today: the texts are its own.
    pub fn plain_exports(&self) -> Result<BTreeMap<String, Template>> {
        let url = match self.asks_http() {
            true => "http://{host}:{port}",
            false => "tcp://{host}:{port}",
        };
        Ok(Template::map([
            ("host", "{host}"),
            ("port", "{port}"),
            ("url", url),
        ])?)
    }

    fn asks_http(&self) -> bool {
        match self {
            Self::Http { .. } => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::asks_http),
            _ => false,
        }
    }
}
