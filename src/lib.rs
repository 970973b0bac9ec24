//! Integration tests that name the real services they need, and get them running, ready, isolated and cleaned up.
//!
//! ```
//! # fn main() {}
//! use clnrm::ServiceHandle;
//!
//! /// The database, as a container.
//! #[clnrm::service(image = "postgres:15", port = 5432, env(POSTGRES_PASSWORD = "test"))]
//! struct Db(ServiceHandle);
//!
//! /// The crate's own binary: built by cargo, run as a process, wired to its database.
//! #[clnrm::service(
//!     bin = "shop",
//!     port = 8080,
//!     env(DATABASE_URL = "postgres://postgres:test@{db.host}:{db.port}"),
//!     ready(http = "/healthz"),
//! )]
//! struct Shop {
//!     handle: ServiceHandle,
//!     db: Db,
//! }
//!
//! #[clnrm::test]
//! async fn the_shop_answers(shop: Shop) -> clnrm::Result<()> {
//!     assert!(shop.url()?.starts_with("http://"));
//!     Ok(())
//! }
//! ```
//!
//! A service is a type. [`macro@service`] declares one of your own, each plugin
//! brings one (`clnrm::postgres::Postgres`), and [`derive@ServicePlugin`] makes
//! new plugins. Where no attribute says enough, [`trait@ServicePlugin`] is
//! implemented by hand, with what is in [`mod@service`].
//!
//! A test names services in its signature: [`macro@test`]. What is built from
//! services, the app under test with its pool, is a [`Fixture`]. The tests run
//! under `cargo test` and `cargo nextest run`; `cargo clnrm test` sees the whole
//! run before it starts anything, and shares what can be shared.
//!
//! There is no prelude: a glob import that brought `test` along would take the
//! place of every plain `#[test]`.

/// ```
/// # fn main() {}
/// use clnrm::{ServiceHandle, ServicePlugin};
///
/// /// Object storage.
/// #[derive(Debug, Clone, ServicePlugin)]
/// #[plugin(
///     type = "minio",
///     image = "minio/minio:RELEASE.2025-09-07T16-13-09Z",
///     program = "minio",
///     args = ["server", "{data_dir}"],
///     port(api = 9000),
///     ready(http = "/minio/health/ready", port = "api"),
/// )]
/// pub struct Minio {
///     #[plugin(env = "MINIO_ROOT_USER", default = "minioadmin")]
///     user: String,
///     #[plugin(env = "MINIO_ROOT_PASSWORD", default = "minioadmin", secret)]
///     password: String,
/// }
///
/// #[clnrm::test]
/// async fn uploads(store: clnrm::Running<Minio>) -> clnrm::Result<()> {
///     println!("{} as {}", store.endpoint("api")?, store.config().user);
///     Ok(())
/// }
///
/// /// Another one, configured.
/// #[clnrm::service(Minio::default().with_user("archive"))]
/// struct Archive(clnrm::Running<Minio>);
/// ```
pub use clnrm_macros::ServicePlugin;

/// ```
/// # fn main() {}
/// use clnrm::ServiceHandle;
///
/// #[clnrm::service(image = "redis:7", port = 6379, ready(log = "Ready to accept connections"))]
/// struct Cache(ServiceHandle);
///
/// #[clnrm::service(
///     program = "worker",
///     args = ["--queue", "redis://{cache.host}:{cache.port}"],
///     ready(log = "listening", stream = "stderr", timeout = "10s"),
///     scope = "test",
/// )]
/// struct Worker {
///     handle: ServiceHandle,
///     cache: Cache,
/// }
/// ```
pub use clnrm_macros::service;

/// ```
/// # fn main() {}
/// # #[clnrm::service(image = "redis:7", port = 6379)]
/// # struct Cache(clnrm::ServiceHandle);
/// #[clnrm::test(timeout = "30s", flavor = "multi_thread")]
/// async fn carts_expire(cache: &Cache) -> Result<(), Box<dyn std::error::Error>> {
///     let url = cache.url()?;
///     // …
///     Ok(())
/// }
///
/// #[clnrm::test]
/// #[should_panic(expected = "no such cart")]
/// fn blocking_tests_work_too(cache: Option<Cache>) {
///     // …
/// }
/// ```
pub use clnrm_macros::test;

pub use clnrm_runtime::engine::block_on;
// The trait by its own path: the runtime's root has a derive of that name, for its own users.
pub use clnrm_runtime::plugin::ServicePlugin;
pub use clnrm_runtime::{
    CleanroomError, ErrorKind, Fixture, HealthStatus, Result, Running, ServiceHandle,
};

/// What a service is, as data: for plugins that are written by hand.
pub mod service {
    pub use clnrm_runtime::service::*;
}

#[cfg(feature = "generic")]
pub use clnrm_generic as generic;
#[cfg(feature = "postgres")]
pub use clnrm_postgres as postgres;
#[cfg(feature = "redis")]
pub use clnrm_redis as redis;

#[doc(hidden)]
pub use clnrm_runtime::__private;

#[cfg(test)]
mod services;
