//! The plugin development guide's walk-through: a database plugin of one's own, by the trait's three methods alone.

use std::collections::BTreeMap;

use clnrm::postgres::tokio_postgres;
use clnrm::service::{ContainerSpec, Port, Spec, Template, Var, Wait};
use clnrm::{CleanroomError, ErrorKind, HealthStatus, Result, ServiceHandle, ServicePlugin};
use clnrm_runtime::engine::ambient;
use clnrm_runtime::service::ImageRef;

use crate::engine::{engine_or_skip, inspect};

/// A database, as the guide builds one.
#[derive(Debug, Clone)]
pub(crate) struct DatabasePlugin {
    name: String,
    database: String,
    username: String,
    password: String,
    env: BTreeMap<String, String>,
}

impl DatabasePlugin {
    pub(crate) fn new(name: &str, database: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(CleanroomError::validation_error("the plugin has no name"));
        }
        if database.is_empty() {
            return Err(CleanroomError::validation_error("the database has no name"));
        }
        Ok(Self {
            name: name.to_owned(),
            database: database.to_owned(),
            username: "postgres".to_owned(),
            password: "password".to_owned(),
            env: BTreeMap::new(),
        })
    }

    pub(crate) fn with_credentials(mut self, username: &str, password: &str) -> Self {
        self.username = username.to_owned();
        self.password = password.to_owned();
        self
    }

    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn how(&self) -> Result<Spec> {
        let image: ImageRef = "clnrm-test/postgres:15".parse()?;
        let mut spec = Spec {
            container: Some(ContainerSpec::new(image)),
            ports: BTreeMap::from([("main".to_owned(), Port::tcp(5432))]),
            env: Template::map([
                ("POSTGRES_USER", "{username}"),
                ("POSTGRES_PASSWORD", "{password}"),
                ("POSTGRES_DB", "{database_name}"),
            ])?,
            // The server that initialises the database listens on no address.
            wait: Wait::Exec {
                command: ["pg_isready", "-h", "127.0.0.1"].map(str::to_owned).into(),
            },
            ..Spec::default()
        };
        let own = self.env.iter();
        spec.env
            .extend(own.map(|(name, value)| (name.clone(), Template::literal(value))));
        let vars = [
            ("username", Var::plain(&self.username)),
            ("password", Var::secret(&self.password)),
            ("database_name", Var::plain(&self.database)),
        ];
        spec.vars = vars.map(|(name, var)| (name.to_owned(), var)).into();
        Ok(spec)
    }
}

/// One exchange: the database is the one that was asked for.
fn answers(handle: &ServiceHandle) -> Result<()> {
    let silent = |error| CleanroomError::service_error("the database is silent").with_source(error);
    let field = |name: &str| handle.metadata[name].clone();
    let mut config = tokio_postgres::Config::new();
    config
        .host(handle.host()?)
        .port(handle.port()?)
        .user(field("username"))
        .password(field("password"))
        .dbname(field("database_name"));
    clnrm::block_on(async move {
        let (client, connection) = config
            .connect(tokio_postgres::NoTls)
            .await
            .map_err(silent)?;
        let connection = tokio::spawn(connection);
        let asked = client.simple_query("SELECT 1").await.map_err(silent);
        connection.abort();
        asked.map(|_| ())
    })?
}

impl ServicePlugin for DatabasePlugin {
    fn name(&self) -> &str {
        &self.name
    }

    fn start(&self) -> Result<ServiceHandle> {
        ambient::start(&self.name, "database", &self.how()?, &answers, &answers)
    }

    fn stop(&self, handle: ServiceHandle) -> Result<()> {
        ambient::stop(&handle)
    }

    fn health_check(&self, handle: &ServiceHandle) -> Result<HealthStatus> {
        match answers(handle) {
            Ok(()) => Ok(HealthStatus::Healthy),
            Err(error) => Ok(HealthStatus::Unhealthy(error.report())),
        }
    }
}

#[tokio::test]
async fn a_database_plugin_starts_answers_and_stops() -> Result<(), CleanroomError> {
    if !clnrm_tests::engine_answers() {
        return Ok(());
    }
    let plugin = DatabasePlugin::new("guide_database", "testdb")?
        .with_credentials("testuser", "testpass")
        .with_env("POSTGRES_INITDB_ARGS", "--no-sync");
    let handle = plugin.start()?;
    assert_eq!(handle.service_name, "guide_database");
    assert!(handle.metadata.contains_key("container_id"));
    assert_eq!(handle.metadata["username"], "testuser");
    assert_eq!(handle.metadata["database_name"], "testdb");
    assert_eq!(plugin.health_check(&handle)?, HealthStatus::Healthy);
    let environment = handle.exec(["printenv", "POSTGRES_USER", "POSTGRES_INITDB_ARGS"]);
    let environment = environment.await?.stdout_text();
    assert_eq!(
        environment.lines().collect::<Vec<_>>(),
        ["testuser", "--no-sync"]
    );
    let id = handle.metadata["container_id"].clone();
    plugin.stop(handle.clone())?;
    assert!(inspect(&id).is_none());
    assert!(!plugin.health_check(&handle)?.is_healthy());
    Ok(())
}

#[test]
fn a_constructor_refuses_what_makes_no_sense() {
    for (name, database) in [("", "testdb"), ("guide_database", "")] {
        let error = DatabasePlugin::new(name, database).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
    }
}

/// A web server that is well when its page says what it should.
#[derive(Debug)]
struct WebPlugin;

impl ServicePlugin for WebPlugin {
    fn name(&self) -> &str {
        "web"
    }

    fn spec(&self) -> Result<Option<Spec>> {
        let image: ImageRef = "clnrm-test/web:1".parse()?;
        Ok(Some(Spec {
            container: Some(ContainerSpec::new(image)),
            ports: BTreeMap::from([("main".to_owned(), Port::tcp(80))]),
            wait: Wait::Http {
                port: None,
                path: "/".to_owned(),
                status: Some(200),
                body: Some("It works".to_owned()),
            },
            ..Spec::default()
        }))
    }
}

#[tokio::test]
async fn a_page_with_another_body_is_unhealthy() {
    engine_or_skip!();
    let handle = WebPlugin.start().unwrap();
    assert_eq!(
        WebPlugin.health_check(&handle).unwrap(),
        HealthStatus::Healthy
    );
    let break_it = "echo broken > /usr/share/nginx/html/index.html";
    handle.exec(["sh", "-c", break_it]).await.unwrap();
    let status = WebPlugin.health_check(&handle).unwrap();
    let HealthStatus::Unhealthy(reason) = status else {
        panic!("{status}")
    };
    assert!(!reason.is_empty());
    WebPlugin.stop(handle).unwrap();
}
