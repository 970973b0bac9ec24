//! The code of the design's section 2, word for word but for what its comments leave out.

// Stands for the plugin crates until they are there: delete the module, and nothing else.
mod clnrm {
    pub use ::clnrm::*;

    macro_rules! stand_in {
        ($name:ident, $handle:ident) => {
            pub mod $name {
                #[::clnrm::service(image = "stand-in:1", port = 1)]
                pub struct $handle(::clnrm::ServiceHandle);

                pub fn plugin() -> Plugin {
                    Plugin
                }

                #[derive(Debug)]
                pub struct Plugin;

                impl Plugin {
                    pub fn tag(self, _: &str) -> Self {
                        self
                    }

                    pub fn migrations(self, _: &str) -> Self {
                        self
                    }
                }

                impl ::clnrm::ServicePlugin for Plugin {
                    fn name(&self) -> &str {
                        stringify!($name)
                    }
                }
            }
        };
    }
    stand_in!(postgres, Postgres);
    stand_in!(redis, Redis);

    #[::clnrm::service(redis::plugin().tag("7").migrations("none"))]
    struct Used(redis::Redis);
}

use clnrm::{ServiceHandle, postgres::Postgres, redis::Redis};

/// The user's own binary as a service: built by cargo, run as a process, wired to its dependencies.
#[clnrm::service(
    bin = "shop",
    port = 8080,                                     // exported as $PORT, mapped to a free port
    env(DATABASE_URL = "{db.url}", REDIS_URL = "{cache.url}"),
    ready(http = "/healthz"),
)]
struct Shop { handle: ServiceHandle, db: Postgres, cache: Redis }   // fields are the dependencies

/// A built-in plugin, configured: the first argument may be any expression of a type that is a plugin.
#[clnrm::service(clnrm::postgres::plugin().tag("15").migrations("migrations"))]
struct OrdersDb(Postgres);                            // a newtype over the plugin's handle; derefs to it

#[clnrm::test]
#[ignore = "it is its descriptor that is looked at"]
async fn checkout_reserves_stock(shop: Shop, db: Postgres) -> Result<(), Box<dyn std::error::Error>> {
    // `db` is the very database that this test's `shop` uses
    assert!(shop.url()?.starts_with("http://") && shop.db.url()? == db.url()?);
    Ok(())
}

#[clnrm::test(timeout = "30s")]
#[ignore = "it is its descriptor that is looked at"]
fn blocking_tests_work_too(db: &OrdersDb) {
    assert!(db.url().is_ok());
}

/// The app under test, built in-process from services: the usual Rust fixture.
struct App { urls: [String; 2] }
impl clnrm::Fixture for App {
    type Needs = (OrdersDb, Redis);
    async fn set_up((db, cache): Self::Needs) -> clnrm::Result<Self> {
        Ok(Self { urls: [db.url()?, cache.url()?] })
    }
}
#[clnrm::test]
#[ignore = "it is its descriptor that is looked at"]
async fn lists_orders(app: App) {
    assert_eq!(app.urls.len(), 2);
}

// a custom plugin: a configuration struct with a derive; `program` makes it run where there is no engine too
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, clnrm::ServicePlugin)]
#[plugin(type = "minio", image = "minio/minio:RELEASE.2025-09-07T16-13-09Z", program = "minio", args = ["server", "{data_dir}"],
         port(api = 9000), ready(http = "/minio/health/ready", port = "api"))]
pub struct Minio {
    #[plugin(env = "MINIO_ROOT_USER", default = "minioadmin")]
    user: String,
    #[plugin(env = "MINIO_ROOT_PASSWORD", default = "minioadmin", secret)]
    password: String,
}

#[clnrm::test]
#[ignore = "it is its descriptor that is looked at"]
async fn uploads(store: clnrm::Running<Minio>) -> clnrm::Result<()> {
    store.endpoint("api")?;
    assert_eq!(store.config().user, "minioadmin");
    Ok(())
}

// and for what no attribute can say, the trait by hand
#[derive(Debug)]
struct ByHand;
impl clnrm::ServicePlugin for ByHand {
    fn name(&self) -> &str { "by-hand" }
    fn start(&self) -> clnrm::Result<ServiceHandle> { Err(clnrm::CleanroomError::service_error("not today")) }
    fn stop(&self, handle: ServiceHandle) -> clnrm::Result<()> { drop(handle); Ok(()) }
    fn health_check(&self, _: &ServiceHandle) -> clnrm::Result<clnrm::HealthStatus> {
        Err(clnrm::CleanroomError::service_error("not today"))
    }
}

#[clnrm::service(self::ByHand)]
struct Hand(ServiceHandle);

#[test]
fn the_descriptors_name_what_the_signatures_name() {
    let lines = clnrm_runtime::__private::inventory::iter::<clnrm_runtime::declare::Line>;
    let section = lines.into_iter().flat_map(|line| line.0.to_vec()).collect::<Vec<_>>();
    let tests = clnrm_runtime::declare::parse_descriptors(&section).unwrap();
    let named = tests.iter().map(|test| {
        let needs = test.needs.iter().map(|need| need.name.as_str()).collect::<Vec<_>>();
        format!("{} {}: {}", test.test_name(), test.timeout_ms, needs.join(", "))
    });
    assert_eq!(
        named.collect::<Vec<_>>(),
        [
            "blocking_tests_work_too 30000: orders-db",
            "checkout_reserves_stock 0: shop, postgres",
            "lists_orders 0: orders-db, redis",
            "uploads 0: minio",
        ]
    );
}
