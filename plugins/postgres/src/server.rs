//! One connection to a server, and the few statements that concern whole databases.

use std::future::Future;
use std::time::Duration;

use clnrm_runtime::backend::BackendKind;
use clnrm_runtime::{CleanroomError, Result, ServiceHandle};
use tokio::task::JoinHandle;
use tokio_postgres::error::{Error, SqlState};
use tokio_postgres::{Client, Config, NoTls};

use crate::config::MAINTENANCE;

/// How long a connection may take, and a first answer on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server, connected to as its own user.
#[derive(Debug)]
pub(crate) struct Server {
    client: Client,
    driver: JoinHandle<Result<(), Error>>,
    config: Config,
    /// The major version.
    pub(crate) major: u32,
    /// Whether it is somebody else's.
    pub(crate) is_external: bool,
}

impl Server {
    /// Connects to the database that is no test's.
    pub(crate) async fn connect(handle: &ServiceHandle) -> Result<Self> {
        let url = handle.url()?;
        let mut config: Config = url
            .parse()
            .map_err(|error| refused("read the URL", error))?;
        config
            .dbname(handle.var("maintenance").unwrap_or(MAINTENANCE))
            .application_name("clnrm");
        Self::open(config, handle.backend() == BackendKind::External).await
    }

    /// Connects to another database of the same server.
    pub(crate) async fn connect_to(&self, database: &str) -> Result<Self> {
        let mut config = self.config.clone();
        config.dbname(database);
        Self::open(config, self.is_external).await
    }

    async fn open(config: Config, is_external: bool) -> Result<Self> {
        let connected = in_time("connect", config.connect(NoTls)).await?;
        let (client, connection) = connected.map_err(|error| refused("connect", error))?;
        let version = connection.parameter("server_version").unwrap_or_default();
        let major = version.split(|c: char| !c.is_ascii_digit()).next();
        let major = major
            .and_then(|major| major.parse().ok())
            .unwrap_or_default();
        let driver = tokio::spawn(connection);
        Ok(Self {
            client,
            driver,
            config,
            major,
            is_external,
        })
    }

    /// Ends the connection; the server has heard of it when this returns.
    pub(crate) async fn close(self) {
        drop(self.client);
        // Whether it ended well changes nothing: it has ended.
        let _ = self.driver.await;
    }

    /// Ends the connection without a word: after an error the server may still
    /// wait for what never comes, the data of a `COPY`.
    pub(crate) fn abort(self) {
        self.driver.abort();
    }

    /// The role that it is connected to as.
    pub(crate) fn role(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// Asks the smallest question.
    pub(crate) async fn ping(&self) -> Result<()> {
        let answer = in_time("answer", self.client.simple_query("SELECT 1")).await?;
        answer.map(drop).map_err(|error| refused("answer", error))
    }

    /// Runs statements without an answer; `what` says them in an error.
    pub(crate) async fn run(&self, what: &str, sql: &str) -> Result<()> {
        let done = self.client.batch_execute(sql).await;
        done.map_err(|error| refused(what, error))
    }

    /// Sends a text of SQL, and keeps the error as it is.
    pub(crate) async fn send(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    /// Waits until no other connection holds this lock, and holds it until this
    /// one is closed. It counts within one database, and every run connects to
    /// the same.
    pub(crate) async fn lock(&self, name: &str) -> Result<()> {
        let sql = format!("SET lock_timeout = '60s'; SELECT pg_advisory_lock(hashtext('{name}'))");
        self.run(&format!("lock `{name}`"), &sql).await
    }

    /// The databases that clnrm made, templates and what becomes one left out.
    pub(crate) async fn slices(&self) -> Result<Vec<String>> {
        let sql = "SELECT datname::text FROM pg_database
            WHERE datname LIKE 'clnrm\\_%' AND datname NOT LIKE 'clnrm\\_tpl\\_%' ORDER BY datname";
        let rows = self.client.query(sql, &[]).await;
        let rows = rows.map_err(|error| refused("list the databases", error))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Whether there is a database of that name.
    pub(crate) async fn has(&self, database: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM pg_database WHERE datname = $1";
        let row = self.client.query_opt(sql, &[&database]).await;
        row.map(|row| row.is_some())
            .map_err(|error| refused("list the databases", error))
    }

    /// Clones a template that nobody is connected to.
    pub(crate) async fn clone_database(&self, template: &str, database: &str) -> Result<()> {
        // With `fsync` off copying files is the faster way; elsewhere it costs two checkpoints.
        let strategy = match self.major {
            15.. if !self.is_external => "STRATEGY file_copy",
            _ => "",
        };
        let (to, from) = (quoted(database), quoted(template));
        let sql = format!("CREATE DATABASE {to} TEMPLATE {from} {strategy}");
        self.client.batch_execute(&sql).await.map_err(|error| {
            let is_gone = error.code() == Some(&SqlState::UNDEFINED_DATABASE);
            let error = refused(&format!("clone `{template}` as `{database}`"), error);
            match is_gone {
                true => error.with_hint("its SQL has changed since the run began: run again"),
                false => error,
            }
        })
    }

    /// Has the server keep the form of the password that is cheapest to check:
    /// a container hashes it its own way.
    pub(crate) async fn keep_verifier(&self, verifier: &str) -> Result<()> {
        let sql = format!("ALTER ROLE {} PASSWORD '{verifier}'", quoted(self.role()));
        self.run("change the password", &sql).await
    }

    /// Drops a database with the connections to it. Dropping what is gone is no error.
    pub(crate) async fn drop_database(&self, database: &str) -> Result<()> {
        let what = format!("drop `{database}`");
        let name = quoted(database);
        if self.major >= 13 {
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            return self.run(&what, &sql).await;
        }
        if self.has(database).await? {
            self.run(
                &what,
                &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            )
            .await?;
            self.disconnect_all(database).await?;
        }
        self.run(&what, &format!("DROP DATABASE IF EXISTS {name}"))
            .await
    }

    /// Ends every connection to a database that allows no new ones, and waits
    /// until the server has forgotten them. Its own vacuum steps aside by itself.
    pub(crate) async fn disconnect_all(&self, database: &str) -> Result<()> {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = $1 AND backend_type <> 'autovacuum worker'";
        let what = format!("end the connections to `{database}`");
        in_time(&what, async {
            loop {
                let rows = self.client.query(sql, &[&database]).await;
                if rows.map_err(|error| refused(&what, error))?.is_empty() {
                    return Ok(());
                }
            }
        })
        .await?
    }
}

/// The error of a server that says no.
pub(crate) fn refused(what: &str, error: Error) -> CleanroomError {
    let is_locked = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
    ]
    .iter()
    .any(|code| error.code() == Some(code));
    let message = match error.as_db_error() {
        Some(answer) => format!(
            "PostgreSQL cannot {what}: {} (SQLSTATE {})",
            answer.message(),
            answer.code().code()
        ),
        None => format!("PostgreSQL cannot {what}"),
    };
    let refusal = CleanroomError::service_error(message).with_source(error);
    match is_locked {
        true => refusal
            .with_hint("another server may have taken the port, or the URL has another password"),
        false => refusal,
    }
}

/// An identifier, whatever characters it has.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn in_time<F: Future>(what: &str, future: F) -> Result<F::Output> {
    tokio::time::timeout(PATIENCE, future).await.map_err(|_| {
        CleanroomError::timeout_error(format!("PostgreSQL did not {what} within {PATIENCE:?}"))
    })
}
