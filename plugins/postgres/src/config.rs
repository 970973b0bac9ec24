//! How a PostgreSQL is configured.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clnrm_runtime::Result;
use clnrm_runtime::migration::{Migrations, Script};
use clnrm_runtime::plugin::{Mistakes, Settings};
use clnrm_runtime::service::{ImageRef, Login, Secret};
use derive_setters::Setters;
use serde::{Deserialize, Serialize};

/// The database that a server always has, and that the plugin itself connects to.
pub(crate) const MAINTENANCE: &str = "postgres";

const SETTINGS: Settings = Settings {
    server: "PostgreSQL",
    punctuation: "_.",
    example: "`work_mem` or `auto_explain.log_analyze`",
    reserved: &[
        "data_directory",
        "hba_file",
        "listen_addresses",
        "port",
        "unix_socket_directories",
    ],
    instead: "leave it out: it is up to the backend",
};

/// What a server of ours is given, unless the user says otherwise.
const DEFAULTS: [(&str, &str); 6] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    // A clone makes two, and each would be a line in the report of a test that failed.
    ("log_checkpoints", "off"),
    ("log_timezone", "UTC"),
    ("max_connections", "200"),
    ("timezone", "UTC"),
];

/// A PostgreSQL with the default configuration.
///
/// ```
/// use clnrm_runtime::ServicePlugin;
///
/// let plugin = clnrm_postgres::plugin()
///     .tag("16")
///     .credentials("shop", "secret")
///     .init_sql("CREATE EXTENSION citext");
/// assert!(plugin.spec().is_ok());
/// ```
#[must_use]
pub fn plugin() -> PostgresPlugin {
    PostgresPlugin::default()
}

/// Knows how to run PostgreSQL. The crate's page lists what can be configured.
#[derive(Debug, Clone, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(into, strip_option)]
pub struct PostgresPlugin {
    /// The service's name, for a start by hand; a declaration has its own.
    #[setters(rename = "named")]
    pub(crate) name: String,
    /// Another image with the contract of the official one: PostGIS, pgvector, a mirror's.
    image: String,
    /// Another tag of the image.
    tag: Option<String>,
    #[setters(skip)]
    pub(crate) user: String,
    #[setters(skip)]
    pub(crate) password: Secret,
    /// The name of the database that an instance has for itself: what
    /// `scope = "run"` and a start by hand give. A slice has a name of its own.
    pub(crate) database: String,
    #[setters(skip)]
    init: Vec<Script>,
    #[setters(skip)]
    migrations: Vec<PathBuf>,
    #[setters(skip)]
    config: BTreeMap<String, String>,
    #[setters(skip)]
    pub(crate) env: BTreeMap<String, String>,
    /// Makes a process of another major version than the image's an error.
    #[setters(bool)]
    pub(crate) require_version: bool,
    #[serde(skip)]
    #[setters(skip)]
    pub(crate) base: PathBuf,
}

impl Default for PostgresPlugin {
    fn default() -> Self {
        Self {
            name: "postgres".to_owned(),
            image: "postgres:15".to_owned(),
            tag: None,
            user: "postgres".to_owned(),
            password: "clnrm-loopback-only".into(),
            database: "app".to_owned(),
            init: Vec::new(),
            migrations: Vec::new(),
            config: BTreeMap::new(),
            env: BTreeMap::new(),
            require_version: false,
            base: PathBuf::new(),
        }
    }
}

impl PostgresPlugin {
    /// The superuser that tests connect as.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<Secret>) -> Self {
        self.user = user.into();
        self.password = password.into();
        self
    }

    /// A file of SQL that runs before the migrations, after the scripts added before it.
    #[must_use]
    pub fn init_script(mut self, path: impl Into<PathBuf>) -> Self {
        self.init.push(Script::File(path.into()));
        self
    }

    /// SQL that runs before the migrations, after the scripts added before it.
    #[must_use]
    pub fn init_sql(mut self, sql: impl Into<String>) -> Self {
        self.init.push(Script::Sql(sql.into()));
        self
    }

    /// A directory of migrations; the crate's page says in which order they
    /// run. A relative path means the declaring crate's directory.
    #[must_use]
    pub fn migrations(mut self, dir: impl Into<PathBuf>) -> Self {
        self.migrations.push(dir.into());
        self
    }

    /// A setting of the server, for example `("shared_preload_libraries", "pg_stat_statements")`.
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

    /// The superuser, and the database of an instance that is not sliced.
    pub(crate) fn login(&self) -> Login {
        Login::new(&self.user, self.password.clone(), &self.database)
    }

    /// The SQL that makes the template.
    pub(crate) fn sql(&self) -> Migrations<'_> {
        Migrations {
            base: &self.base,
            scripts: &self.init,
            directories: &self.migrations,
        }
    }

    /// The settings of the server: ours, then the user's over them.
    pub(crate) fn settings(&self) -> BTreeMap<&str, &str> {
        let own = self.config.iter();
        let own = own.map(|(key, value)| (key.as_str(), value.as_str()));
        DEFAULTS.into_iter().chain(own).collect()
    }

    /// Reports everything that is wrong with it.
    pub(crate) fn check(&self) -> Result<()> {
        let mut mistakes = Mistakes::default();
        mistakes.check_name(&self.name);
        mistakes.check(self.image_ref());
        mistakes.refuse_if(
            !is_text(&self.user, 63) || self.user.starts_with("pg_") || is_refused(&self.user),
            format!("`{}` is no name of a user", self.user),
            "use 1 to 63 bytes, none of `\"`, `$`, `'` and `\\`, and not `pg_` at the start",
        );
        mistakes.refuse_if(
            !is_text(self.password.expose(), 100),
            "the password is empty, too long or has a control character",
            "use 1 to 100 bytes, or leave `.credentials(..)` out",
        );
        mistakes.refuse_if(
            !is_url_safe(&self.database),
            format!("`{}` is no name of a database", self.database),
            "use 1 to 63 letters, digits, `_`, `-` and `.`",
        );
        mistakes.refuse_if(
            [MAINTENANCE, "template0", "template1"].contains(&self.database.as_str())
                || self.database.starts_with("clnrm_"),
            format!("database `{}` is not free", self.database),
            "choose another name: the server has that one, or clnrm makes it",
        );
        mistakes.check_variables(&self.env);
        for name in self.env.keys() {
            mistakes.refuse_if(
                name.starts_with("POSTGRES_"),
                format!("variable `{name}` is not free"),
                "use `.credentials(..)`, `.database(..)` and `.init_sql(..)`: they work without the image too",
            );
        }
        mistakes.check_settings(&SETTINGS, &self.config);
        mistakes.check(self.sql().steps());
        mistakes.into_result(&self.name)
    }
}

/// Whether the name of a database stands in a URL as it is.
pub(crate) fn is_url_safe(name: &str) -> bool {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    is_text(name, 63) && name.bytes().all(is_good)
}

/// `initdb` takes no such user: they own extensions, whose scripts these characters would break.
fn is_refused(user: &str) -> bool {
    user.contains(['"', '$', '\'', '\\'])
}

fn is_text(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && !text.contains(|c: char| c.is_control())
}
