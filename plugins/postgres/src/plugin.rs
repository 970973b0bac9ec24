//! PostgreSQL as a plugin.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clnrm_runtime::backend::BackendKind;
use clnrm_runtime::engine::block_on;
use clnrm_runtime::plugin::{External, Location, PluginRegistration, from_config};
use clnrm_runtime::service::{
    Isolation, Login, Port, Slice, SliceId, Spec, Stop, StopSignal, Template, Var, Wait,
};
use clnrm_runtime::{CleanroomError, Result, ServiceHandle, ServicePlugin};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::config::{MAINTENANCE, PostgresPlugin, is_url_safe};
use crate::server::Server;
use crate::template;

/// The type of service.
const TYPE: &str = "postgres";

impl ServicePlugin for PostgresPlugin {
    fn name(&self) -> &str {
        &self.name
    }

    fn service_type(&self) -> &str {
        TYPE
    }

    fn base_dir(&mut self, dir: &Path) {
        self.base = dir.to_owned();
    }

    fn spec(&self) -> Result<Option<Spec>> {
        self.check()?;
        let mut vars = self.login().vars();
        vars.insert("maintenance".to_owned(), Var::plain(MAINTENANCE));
        Ok(Some(Spec {
            container: Some(self.container()?),
            process: Some(self.process()?),
            ports: Port::main(5432),
            env: Template::literals(&self.env),
            vars,
            exports: Login::exports("postgres")?,
            wait: Wait::Plugin,
            // SIGINT: it ends sessions, writes everything and goes. An immediate
            // end is 20 ms faster, and empties unlogged tables at a restart.
            stop: Stop {
                signal: StopSignal::Int,
                grace: Duration::from_secs(2),
            },
            migrate: true,
            ..Spec::default()
        }))
    }

    fn config(&self) -> Result<serde_json::Value> {
        Ok(self.sql().config())
    }

    fn inputs(&self) -> Vec<PathBuf> {
        self.sql().inputs()
    }

    fn ready(&self, handle: &ServiceHandle) -> Result<()> {
        let handle = handle.clone();
        block_on(async move { Server::connect(&handle).await?.ping().await })?
    }

    fn isolation(&self, _backend: BackendKind) -> Isolation {
        Isolation::Slice
    }

    fn migrate(&self, handle: &ServiceHandle) -> Result<()> {
        let (plugin, handle) = (self.clone(), handle.clone());
        block_on(async move { template::prepare(&plugin, &handle).await })?
    }

    fn slice(&self, handle: &ServiceHandle, id: &SliceId) -> Result<Slice> {
        let steps = self.sql().steps()?;
        let (handle, database) = (handle.clone(), id.name.clone());
        block_on(async move {
            let server = Server::connect(&handle).await?;
            let template = template::name(&steps, &server);
            server.clone_database(&template, &database).await
        })??;
        Ok(Slice::new(id.clone(), [("database", Var::plain(&id.name))]))
    }

    fn drop_slice(&self, handle: &ServiceHandle, slice: &Slice) -> Result<()> {
        let (handle, database) = (handle.clone(), slice.id.name.clone());
        block_on(async move {
            Server::connect(&handle)
                .await?
                .drop_database(&database)
                .await
        })?
    }

    fn sweep(
        &self,
        handle: &ServiceHandle,
        is_stale: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<String>> {
        let handle = handle.clone();
        let (server, mut databases) = block_on(async move {
            let server = Server::connect(&handle).await?;
            let databases = server.slices().await?;
            Ok::<_, CleanroomError>((server, databases))
        })??;
        databases.retain(|name| is_stale(name));
        block_on(async move {
            for database in &databases {
                server.drop_database(database).await?;
            }
            Ok(databases)
        })?
    }

    fn external(&self, url: &str) -> Result<External> {
        // The URL itself is left out: a password may stand in it.
        let wrong = |why: &str| {
            CleanroomError::validation_error(format!("bad PostgreSQL URL: {why}"))
                .with_hint("write `postgres://user:password@host:5432/database`")
        };
        let config: Config = url.parse().map_err(|_| wrong("it does not parse"))?;
        let host = match config.get_hosts() {
            [Host::Tcp(host)] => host,
            [_] => return Err(wrong("it names a socket, and containers cannot reach that")),
            _ => return Err(wrong("it does not name exactly one host")),
        };
        if config.get_ssl_mode() == SslMode::Require {
            return Err(wrong(
                "`sslmode=require` cannot be had: clnrm connects without TLS",
            ));
        }
        let user = config.get_user().ok_or_else(|| wrong("it names no user"))?;
        let database = config.get_dbname().unwrap_or(user);
        if !is_url_safe(database) {
            return Err(wrong(
                "the name of its database has other characters than letters, digits, `_`, `-` and `.`",
            ));
        }
        let password = String::from_utf8_lossy(config.get_password().unwrap_or_default());
        let mut vars = Login::new(user, password.into_owned(), database).vars();
        vars.insert("maintenance".to_owned(), Var::plain(database));
        let port = config.get_ports().first().copied().unwrap_or(5432);
        Ok(External::new(host, port, vars))
    }
}

inventory::submit! {
    PluginRegistration {
        service_type: TYPE,
        version: "0.1.0",
        description: "PostgreSQL: a database of its own for each test, cloned from a migrated template.",
        location: Location { file: file!(), line: line!() },
        construct: |config| Ok(Arc::new(from_config::<PostgresPlugin>(TYPE, config)?)),
    }
}
