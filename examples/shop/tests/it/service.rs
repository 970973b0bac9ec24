//! What the tests need, declared once.

use clnrm::ServiceHandle;
use clnrm::postgres::Postgres;
use clnrm::redis::Redis;

/// Orders and stock, migrated once; each test gets a clone.
#[clnrm::service(clnrm::postgres::plugin().tag("15").migrations("migrations"))]
pub(crate) struct OrdersDb(Postgres);

/// Carts that survive a restart.
#[clnrm::service(clnrm::redis::plugin().persistent(), scope = "test")]
pub(crate) struct Carts(Redis);

/// The shop's own binary, wired to its stores.
#[clnrm::service(
    bin = "shop",
    port = 8080,
    env(DATABASE_URL = "{db.url}", REDIS_URL = "{carts.url}"),
    ready(http = "/healthz")
)]
pub(crate) struct Shop {
    handle: ServiceHandle,
    db: OrdersDb,
    carts: Carts,
}

/// A payment provider whose start is slow on purpose.
#[clnrm::service(
    bin = "slowpay",
    port = 8080,
    env(WARMUP_MS = "300"),
    ready(http = "/healthz")
)]
pub(crate) struct SlowPay {
    handle: ServiceHandle,
}

/// The shop with a payment provider.
#[clnrm::service(
    bin = "shop",
    name = "paid-shop",
    port = 8080,
    env(
        DATABASE_URL = "{db.url}",
        REDIS_URL = "{carts.url}",
        PAYMENT_URL = "{payment.url}"
    ),
    ready(http = "/healthz")
)]
pub(crate) struct PaidShop {
    handle: ServiceHandle,
    db: OrdersDb,
    carts: Carts,
    payment: SlowPay,
}
