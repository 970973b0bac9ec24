//! PostgreSQL as a plugin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clnrm_runtime::backend::BackendKind;
use clnrm_runtime::engine::block_on;
use clnrm_runtime::plugin::{External, Location, PluginRegistration, from_config};
use clnrm_runtime::service::{
    Isolation, Port, Slice, SliceId, Spec, Stop, StopSignal, Template, Var, Wait,
};
use clnrm_runtime::{CleanroomError, Result, ServiceHandle, ServicePlugin};

use crate::config::{MAINTENANCE, PostgresPlugin, Script};
use crate::server::Server;
use crate::{migration, template, url};

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
        let env = |(name, value): (&String, &String)| (name.clone(), Template::literal(value));
        Ok(Some(Spec {
            container: Some(self.container()?),
            process: Some(self.process()?),
            ports: BTreeMap::from([("main".to_owned(), Port::tcp(5432))]),
            env: self.env.iter().map(env).collect(),
            vars: url::vars(&self.user, &self.password, &self.database, MAINTENANCE).into(),
            exports: Template::map([
                ("url", "postgres://{userinfo}{host}:{port}/{database}"),
                ("host", "{host}"),
                ("port", "{port}"),
                ("username", "{username}"),
                ("password", "{password}"),
                ("database", "{database}"),
            ])?,
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
        let init = self.init.iter().map(|script| match script {
            Script::File(_) => serde_json::json!("file"),
            Script::Sql(sql) => serde_json::json!({ "sql": sql }),
        });
        Ok(init.collect())
    }

    fn inputs(&self) -> Vec<PathBuf> {
        let files = self.init.iter().filter_map(|script| match script {
            Script::File(path) => Some(path),
            Script::Sql(_) => None,
        });
        let inputs = files.chain(&self.migrations);
        inputs.map(|path| self.base.join(path)).collect()
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
        block_on(async move { plugin.prepare(&handle).await })?
    }

    fn slice(&self, handle: &ServiceHandle, id: &SliceId) -> Result<Slice> {
        let steps = migration::steps(self)?;
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
        url::read_url(url)
    }
}

impl PostgresPlugin {
    /// Makes the template, and a first clone of it where the server is ours.
    async fn prepare(&self, handle: &ServiceHandle) -> Result<()> {
        let steps = migration::steps(self)?;
        let server = Server::connect(handle).await?;
        let template = template::name(&steps, &server);
        template::build(&server, &template, &steps).await?;
        if server.is_external {
            return Ok(());
        }
        // Of two at once one would be refused: a role is updated by one alone.
        server.lock("clnrm_role").await?;
        server.keep_verifier(&self.verifier()).await?;
        match server.has(&self.database).await? {
            true => Ok(()),
            false => server.clone_database(&template, &self.database).await,
        }
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
