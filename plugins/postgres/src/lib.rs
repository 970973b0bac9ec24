//! PostgreSQL as a service: each test owns a database cloned from a migrated template.
//!
//! ```
//! use clnrm_postgres::Postgres;
//!
//! // `#[clnrm::test] async fn stock_is_counted(db: Postgres)` gets one of these.
//! async fn count(db: &Postgres) -> Result<i64, Box<dyn std::error::Error>> {
//!     let client = db.connect().await?;
//!     Ok(client.query_one("SELECT count(*) FROM stock", &[]).await?.get(0))
//! }
//! ```
//!
//! # Configuration
//!
//! `#[clnrm::service(clnrm::postgres::plugin().migrations("migrations"))] struct OrdersDb(Postgres);`
//!
//! | method | key | default | meaning |
//! | --- | --- | --- | --- |
//! | [`named`](PostgresPlugin::named) | `name` | `postgres` | the service's name, where no declaration gives one |
//! | [`tag`](PostgresPlugin::tag) | `tag` | | another tag of the image; its major version is what a process should have |
//! | [`image`](PostgresPlugin::image) | `image` | `postgres:15` | the image |
//! | [`credentials`](PostgresPlugin::credentials) | `user`, `password` | `postgres`, `clnrm-loopback-only` | the superuser |
//! | [`database`](PostgresPlugin::database) | `database` | `app` | the database of an instance that is not sliced |
//! | [`init_script`](PostgresPlugin::init_script), [`init_sql`](PostgresPlugin::init_sql) | `init` | | SQL that runs before the migrations |
//! | [`migrations`](PostgresPlugin::migrations) | `migrations` | | directories of SQL files |
//! | [`config`](PostgresPlugin::config) | `config` | see below | settings of the server |
//! | [`with_env`](PostgresPlugin::with_env) | `env` | | environment variables of the server |
//! | [`require_version`](PostgresPlugin::require_version) | `require_version` | `false` | a process of another major version is an error |
//!
//! Settings that it has unless told otherwise: `fsync` and `full_page_writes`
//! are off, since no test outlives the machine (`synchronous_commit` is on: it
//! then costs nothing, and a killed server keeps what it has committed);
//! `max_connections` is 200; `timezone` is UTC; `log_checkpoints` is off. Text sorts by code points
//! (`C.UTF-8`) on every backend. Passwords cross the loopback as they are, which
//! saves a test binary without optimizations 70 ms for each connection.
//!
//! # Migrations
//!
//! A directory holds `*.sql` files, or directories with an `up.sql` in them, or
//! both; `*.down.sql` is ignored. They run in the order of their names, in which
//! runs of digits count as numbers: `V2__b.sql` comes before `V10__a.sql`. Each
//! file is sent whole, so all of it succeeds or none, in a session of its own:
//! what it sets ends with it. One that leaves a transaction open is an error.
//! What only `psql` understands (`\connect`, `COPY … FROM stdin` with data) is
//! not SQL.
//!
//! # What a test owns
//!
//! Migrations run once, into a template that nobody can connect to; its name is
//! a hash of all SQL, the server's version and the role. Each test gets a
//! database cloned from it, and loses it afterwards, connections included. What
//! belongs to the whole server is shared by its tests: roles, settings of the
//! server. `ALTER DATABASE … SET` in a migration is not cloned.
//!
//! On a server that `CLNRM_<NAME>_URL` names, the database of that URL is only
//! connected to, never changed; the role needs `CREATEDB`. Templates stay
//! there for the next run: `clnrm_tpl_…`.

mod config;
mod handle;
mod plugin;
mod server;
mod spec;
mod template;

pub use clnrm_runtime::migration::Script;
pub use config::{PostgresPlugin, plugin};
#[cfg(feature = "pool")]
pub use deadpool_postgres;
pub use handle::Postgres;
pub use tokio_postgres;
