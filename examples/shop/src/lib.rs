//! The shop of the quickstart: orders and stock in Postgres, carts in Redis, an HTTP API over both.
//!
//! The binary `shop` is this library and an environment. A test that wants the API in its own process builds it from
//! the two stores:
//!
//! ```no_run
//! # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = shop::pool("postgres://localhost/shop".parse()?)?;
//! let carts = shop::Carts::connect(redis::Client::open("redis://localhost/")?).await?;
//! let router = shop::router(shop::App::new(pool, carts));
//! # Ok(())
//! # }
//! ```

mod app;
mod cart;
pub mod config;
mod database;
mod error;
mod health;
mod order;
mod payment;
mod route;
mod server;
mod stock;

pub use app::{App, StartError};
pub use cart::{Cart, Carts, Line};
pub use config::Config;
pub use database::{migrate, pool};
pub use error::Error;
pub use order::Order;
pub use payment::{Charge, Payment};
pub use route::router;
pub use server::{run, serve};
pub use stock::Product;
