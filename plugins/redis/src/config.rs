//! How a Redis is configured.

use std::collections::BTreeMap;

use clnrm_runtime::Result;
use clnrm_runtime::plugin::Mistakes;
use clnrm_runtime::service::{ImageRef, Secret};
use serde::{Deserialize, Serialize};

/// Settings that have a method of their own, or are the backend's to choose.
const RESERVED: [&str; 10] = [
    "aclfile",
    "appendonly",
    "bind",
    "daemonize",
    "databases",
    "dir",
    "port",
    "requirepass",
    "unixsocket",
    "user",
];

/// A Redis with the default configuration.
///
/// ```
/// use clnrm_runtime::ServicePlugin;
///
/// let plugin = clnrm_redis::plugin().tag("7.4").config("maxmemory", "64mb");
/// assert!(plugin.spec().is_ok());
/// ```
#[must_use]
pub fn plugin() -> RedisPlugin {
    RedisPlugin::default()
}

/// Knows how to run Redis. The crate's page lists what can be configured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisPlugin {
    pub(crate) name: String,
    image: String,
    tag: Option<String>,
    pub(crate) password: Secret,
    databases: u32,
    persistent: bool,
    config: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) require_version: bool,
}

impl Default for RedisPlugin {
    fn default() -> Self {
        Self {
            name: "redis".to_owned(),
            image: "redis:7".to_owned(),
            tag: None,
            password: "clnrm-loopback-only".into(),
            databases: 1024,
            persistent: false,
            config: BTreeMap::new(),
            env: BTreeMap::new(),
            require_version: false,
        }
    }
}

impl RedisPlugin {
    /// The service's name, for a start by hand; a declaration has its own.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Another tag of the image.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Another image with the contract of the official one: Valkey's, a mirror's.
    #[must_use]
    pub fn image(mut self, image: impl Into<String>) -> Self {
        self.image = image.into();
        self
    }

    /// The password of the user `default`. There is no server without one: any
    /// user of the machine can connect to a port on loopback.
    #[must_use]
    pub fn password(mut self, password: impl Into<Secret>) -> Self {
        self.password = password.into();
        self
    }

    /// How many numbered databases there are. Two are no test's: number 0, and
    /// the last, which says whose the others are.
    #[must_use]
    pub fn databases(mut self, databases: u32) -> Self {
        self.databases = databases;
        self
    }

    /// Data survives a restart: every write goes to an append-only file.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// A line of `redis.conf`, for example `("maxmemory-policy", "allkeys-lru")`.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(key.into(), value.into());
        self
    }

    /// An environment variable of the server.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Makes a process of another major version than the image's an error.
    #[must_use]
    pub fn require_version(mut self) -> Self {
        self.require_version = true;
        self
    }

    /// The image, at the tag that was asked for.
    pub(crate) fn image_ref(&self) -> Result<ImageRef> {
        ImageRef::at_tag(&self.image, self.tag.as_deref())
    }

    /// Reports everything that is wrong with it.
    pub(crate) fn check(&self) -> Result<()> {
        let mut mistakes = Mistakes::default();
        mistakes.check_name(&self.name);
        mistakes.check(self.image_ref());
        mistakes.refuse_if(
            self.password.expose().is_empty(),
            "the password is empty",
            "leave `.password(..)` out for the default one",
        );
        mistakes.refuse_if(
            !(3..=16_384).contains(&self.databases),
            format!("`{}` databases are too few or too many", self.databases),
            "ask for 3 to 16384: number 0 and the last one are no test's",
        );
        self.env
            .keys()
            .for_each(|name| mistakes.check_variable(name));
        for (key, value) in &self.config {
            let is_key = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            mistakes.refuse_if(
                key.is_empty() || !key.bytes().all(is_key),
                format!("`{key}` is no setting of Redis"),
                "settings look like `maxmemory-policy`",
            );
            mistakes.refuse_if(
                RESERVED.contains(&key.as_str()),
                format!("setting `{key}` is not free"),
                "use `.password(..)`, `.databases(..)` or `.persistent()`; the rest is up to the backend",
            );
            mistakes.refuse_if(
                value.contains(['\n', '\r', '\0']),
                format!("the value of setting `{key}` has several lines"),
                "add one setting for each line",
            );
        }
        mistakes.into_result(&self.name)
    }

    /// The text of `redis.conf`.
    pub(crate) fn conf(&self) -> String {
        let mut lines = vec![
            format!("requirepass {}", quoted(self.password.expose())),
            format!("databases {}", self.databases),
            format!("appendonly {}", if self.persistent { "yes" } else { "no" }),
            "save \"\"".to_owned(),
        ];
        let own = self
            .config
            .iter()
            .map(|(key, value)| format!("{key} {value}"));
        lines.extend(own);
        lines.join("\n") + "\n"
    }
}

/// An argument of `redis.conf`, each byte of it escaped.
fn quoted(text: &str) -> String {
    let escaped: String = text.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{escaped}\"")
}
