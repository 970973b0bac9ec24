//! Redis as a service: each test owns a server, or a numbered database of a shared one.
//!
//! ```
//! # use clnrm_redis as redis;
//! use redis::Redis;
//!
//! // `#[clnrm::test] async fn carts_expire(cache: Redis)` gets one of these.
//! fn count(cache: &Redis) -> Result<u64, Box<dyn std::error::Error>> {
//!     let mut connection = cache.client()?.get_connection()?;
//!     Ok(::redis::cmd("DBSIZE").query(&mut connection)?)
//! }
//! ```
//!
//! # Configuration
//!
//! `#[clnrm::service(clnrm::redis::plugin().persistent())] struct Jobs(Redis);`
//!
//! | method | key | default | meaning |
//! | --- | --- | --- | --- |
//! | [`named`](RedisPlugin::named) | `name` | `redis` | the service's name, where no declaration gives one |
//! | [`tag`](RedisPlugin::tag) | `tag` | | another tag of the image; its major version is what a process should have |
//! | [`image`](RedisPlugin::image) | `image` | `redis:7` | the image |
//! | [`password`](RedisPlugin::password) | `password` | `clnrm-loopback-only` | the password of the user `default` |
//! | [`databases`](RedisPlugin::databases) | `databases` | 1024 | how many numbered databases there are |
//! | [`persistent`](RedisPlugin::persistent) | `persistent` | `false` | data survives a restart, in an append-only file |
//! | [`config`](RedisPlugin::config) | `config` | | further lines of `redis.conf` |
//! | [`with_env`](RedisPlugin::with_env) | `env` | | environment variables of the server |
//! | [`require_version`](RedisPlugin::require_version) | `require_version` | `false` | a process of another major version is an error |
//!
//! # What a test owns
//!
//! - As a process: a server of its own. It starts in a hundredth of a second.
//! - In a container, or on a server that `CLNRM_<NAME>_URL` names: a numbered
//!   database, and a user that can select that database alone. The user lacks
//!   the commands that reach other databases or the server: `MOVE`, `COPY`,
//!   `SWAPDB`, `FLUSHALL`, `CONFIG`, `SCRIPT FLUSH`, `FUNCTION`, `SHUTDOWN` and
//!   their like. `KEYS`, `INFO`, `DBSIZE` and `FLUSHDB` stay. It takes Redis 7
//!   or Valkey; a cluster has one database, and is out of scope.
//!
//! **A client that ignores the number at the end of the URL writes to database
//! 0, which all tests share.** Every connection to Redis begins there, and no
//! rule can forbid it. Pass the whole `url()` on; a client that is given host,
//! port and password alone is not isolated. Nor are published messages: a
//! channel belongs to the whole server. Where that matters, ask for a server
//! of one's own with `#[clnrm::test(fresh)]`.
//!
//! A server that somebody else runs keeps its data: databases that hold keys
//! are passed over, and what a test wrote is removed with its database.

mod account;
mod config;
mod connection;
mod handle;
mod plugin;
mod spec;

pub use config::{RedisPlugin, plugin};
pub use handle::Redis;
pub use redis;
