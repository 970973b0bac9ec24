//! How a service of any kind is configured.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use clnrm_runtime::service::{Healthcheck, Secret, Wait};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

/// A service that runs from an image, for example `nginx:1.29`.
///
/// The reference is read when the service is planned: everything that is
/// malformed here and below is then reported at once.
#[must_use]
pub fn plugin(image: impl Into<String>) -> GenericPlugin {
    GenericPlugin {
        image: Some(image.into()),
        ..GenericPlugin::default()
    }
}

/// A service that is an installed program, by its name in `PATH`.
///
/// ```
/// use clnrm_runtime::ServicePlugin;
///
/// let nats = clnrm_generic::program("nats-server")
///     .args(["--addr", "{host}", "--port", "{port}"])
///     .port(4222)
///     .export("url", "nats://{host}:{port}");
/// assert!(nats.spec().is_ok());
/// ```
#[must_use]
pub fn program(name: impl Into<String>) -> GenericPlugin {
    GenericPlugin::default().program(name)
}

/// Knows how to run any image or program. The crate's page lists what can be configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(into, strip_option)]
pub struct GenericPlugin {
    /// The service's name, for a start by hand; a declaration has its own.
    #[setters(rename = "named")]
    pub(crate) name: Option<String>,
    #[setters(skip)]
    pub(crate) image: Option<String>,
    /// Another tag of the image.
    pub(crate) tag: Option<String>,
    /// Pins the image to the byte: `sha256:…`.
    pub(crate) digest: Option<String>,
    /// The program that runs where there is no engine, by its name in `PATH`.
    pub(crate) program: Option<String>,
    #[setters(skip)]
    pub(crate) args: Vec<String>,
    #[setters(skip)]
    pub(crate) env: BTreeMap<String, String>,
    #[setters(skip)]
    pub(crate) secrets: BTreeMap<String, Secret>,
    #[setters(skip)]
    pub(crate) ports: Vec<String>,
    #[setters(skip)]
    pub(crate) exports: BTreeMap<String, String>,
    /// What makes it ready.
    pub(crate) ready: Option<Wait>,
    /// How long it may take to become ready; 60 s unless told otherwise.
    pub(crate) start_timeout: Option<Duration>,
    #[setters(skip)]
    pub(crate) volumes: Vec<String>,
    #[setters(skip)]
    pub(crate) tmpfs: Vec<String>,
    #[setters(skip)]
    pub(crate) command: Option<Vec<String>>,
    #[setters(skip)]
    pub(crate) entrypoint: Option<Vec<String>>,
    #[setters(skip)]
    pub(crate) healthcheck: Option<Healthcheck>,
    /// A network by name: containers of one owner that name the same one reach each
    /// other, and nobody else.
    pub(crate) network: Option<String>,
    #[setters(skip)]
    pub(crate) aliases: Vec<String>,
    /// How much memory it may use: `64m`, `1g`.
    pub(crate) memory: Option<String>,
    /// How large its `/dev/shm` is.
    pub(crate) shm: Option<String>,
    /// How many processors it may use: `0.5`.
    #[setters(into = false)]
    pub(crate) cpus: Option<f64>,
    /// How many processes and threads it may have.
    #[setters(into = false)]
    pub(crate) pids: Option<u64>,
    /// Whom it runs as: `user[:group]`, by name or number.
    pub(crate) user: Option<String>,
    /// The working directory inside.
    pub(crate) workdir: Option<String>,
    #[serde(skip)]
    #[setters(skip)]
    pub(crate) base: PathBuf,
}

impl GenericPlugin {
    /// The program's arguments, with holes: `{host}`, `{port}`, `{port.NAME}`, `{data_dir}`.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// An environment variable, with the same holes; `{{` and `}}` are braces.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// An environment variable that is never printed. Exports name it in lower
    /// case, `SECRET_KEY` is `{secret_key}`, so that no two may be equal in that
    /// and none is called `NAME`, `HOST`, `PORT`, `DATA_DIR` or `SEED_DIR`.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.secrets.insert(name.into(), value.into());
        self
    }

    /// A port: `80`, `"8080:80"` to have it at 8080 of the host as well, where
    /// another may have taken it, `"0:80"`, `"53:53/udp"`. The first one is `main`;
    /// others are called by their number inside.
    #[must_use]
    pub fn port(mut self, port: impl Display) -> Self {
        self.ports.push(port.to_string());
        self
    }

    /// A port that has a name: `endpoint("api")`, `{port.api}`.
    #[must_use]
    pub fn named_port(mut self, name: impl Display, port: impl Display) -> Self {
        self.ports.push(format!("{name}={port}"));
        self
    }

    /// What dependants and tests may read, for example `("url", "amqp://{host}:{port}")`.
    #[must_use]
    pub fn export(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.exports.insert(name.into(), text.into());
        self
    }

    /// A mount: `/on/host:/inside`, with `:ro` to make it read-only, or `/inside`
    /// alone for a volume that lives as long as the container. A relative path
    /// means the declaring crate's directory.
    #[must_use]
    pub fn volume(mut self, volume: impl Into<String>) -> Self {
        self.volumes.push(volume.into());
        self
    }

    /// A directory inside that is memory.
    #[must_use]
    pub fn tmpfs(mut self, path: impl Into<String>) -> Self {
        self.tmpfs.push(path.into());
        self
    }

    /// The container's arguments instead of the image's.
    #[must_use]
    pub fn command<T: Into<String>>(mut self, command: impl IntoIterator<Item = T>) -> Self {
        self.command = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// The container's entry point instead of the image's.
    #[must_use]
    pub fn entrypoint<T: Into<String>>(mut self, entrypoint: impl IntoIterator<Item = T>) -> Self {
        self.entrypoint = Some(entrypoint.into_iter().map(Into::into).collect());
        self
    }

    /// The container's health check instead of the image's: a command that is
    /// run every `interval`, may take `timeout`, and may fail `retries` times in a row.
    #[must_use]
    pub fn healthcheck<T: Into<String>>(
        mut self,
        command: impl IntoIterator<Item = T>,
        interval: Duration,
        timeout: Duration,
        retries: u32,
    ) -> Self {
        self.healthcheck = Some(Healthcheck {
            command: command.into_iter().map(Into::into).collect(),
            interval,
            timeout,
            retries,
            start_period: Duration::ZERO,
        });
        self
    }

    /// A further name under which others reach it.
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }
}
