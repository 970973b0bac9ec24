//! The shop, tested as its users meet it: through HTTP, and through its database.

mod api;
mod client;
mod fixture;
mod isolation;
mod payment;
mod plugin;
mod restart;
mod service;
