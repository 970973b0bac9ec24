//! How a Redis is configured.

use std::collections::BTreeMap;

use clnrm_runtime::Result;
use clnrm_runtime::plugin::{Mistakes, Settings};
use clnrm_runtime::service::{ImageRef, Login, Secret};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

const SETTINGS: Settings = Settings {
    server: "Redis",
    punctuation: "-",
    example: "`maxmemory-policy`",
    reserved: &[
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
    ],
    instead: "use `.password(..)`, `.databases(..)` or `.persistent()`; the rest is up to the backend",
};

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
#[derive(Debug, Clone, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(into, strip_option)]
pub struct RedisPlugin {
    /// The service's name, for a start by hand; a declaration has its own.
    #[setters(rename = "named")]
    pub(crate) name: String,
    /// Another image with the contract of the official one: Valkey's, a mirror's.
    image: String,
    /// Another tag of the image.
    tag: Option<String>,
    /// The password of the user `default`. There is no server without one: any
    /// user of the machine can connect to a port on loopback.
    password: Secret,
    /// How many numbered databases there are. Two are no test's: number 0, and
    /// the last, which says whose the others are.
    #[setters(into = false)]
    databases: u32,
    /// Data survives a restart: every write goes to an append-only file.
    #[setters(bool)]
    persistent: bool,
    #[setters(skip)]
    config: BTreeMap<String, String>,
    #[setters(skip)]
    pub(crate) env: BTreeMap<String, String>,
    /// Makes a process of another major version than the image's an error.
    #[setters(bool)]
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

    /// The image, at the tag that was asked for.
    pub(crate) fn image_ref(&self) -> Result<ImageRef> {
        ImageRef::at_tag(&self.image, self.tag.as_deref())
    }

    /// The user that may do everything, in the database that no test owns.
    pub(crate) fn login(&self) -> Login {
        Login::new("default", self.password.clone(), "0")
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
        mistakes.check_variables(&self.env);
        mistakes.check_settings(&SETTINGS, &self.config);
        for (key, value) in &self.config {
            mistakes.refuse_if(
                value.contains(['\n', '\r']),
                format!("the value of setting `{key}` has several lines"),
                "add one setting for each line",
            );
        }
        mistakes.into_result(&self.name)
    }

    /// The text of `redis.conf`.
    pub(crate) fn conf(&self) -> String {
        // Each byte is escaped: a password may have any.
        let password = self.password.expose().bytes();
        let password: String = password.map(|byte| format!("\\x{byte:02x}")).collect();
        let mut conf = format!(
            "requirepass \"{password}\"\ndatabases {}\nappendonly {}\nsave \"\"\n",
            self.databases,
            if self.persistent { "yes" } else { "no" }
        );
        for (key, value) in &self.config {
            conf.extend([key, " ", value, "\n"]);
        }
        conf
    }
}
