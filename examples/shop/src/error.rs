//! What a request can fail with, and the status and JSON body that say so.

use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// A failed request. The body is `{"error": code, "message": text}`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is there.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// What was looked for: `product`, `order`, `route`.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// The request is well formed, but says something impossible.
    #[error("{0}")]
    Invalid(String),
    /// The request's body is not what the route takes.
    #[error("{}", .0.body_text())]
    Body(#[from] JsonRejection),
    /// The request's path is not what the route takes.
    #[error("{}", .0.body_text())]
    Path(#[from] PathRejection),
    /// The SKU is taken.
    #[error("product `{0}` exists already")]
    ProductExists(String),
    /// There is nothing to check out.
    #[error("cart `{0}` is empty")]
    EmptyCart(String),
    /// An order was made of the cart before.
    #[error("cart `{0}` was checked out before")]
    CheckedOut(String),
    /// Less is left than the cart holds.
    #[error("not enough `{sku}`: {wanted} wanted, {stock} in stock")]
    OutOfStock {
        /// The product.
        sku: String,
        /// The cart's quantity.
        wanted: i64,
        /// What is left.
        stock: i64,
    },
    /// The payment provider said no.
    #[error("the payment was declined: {0}")]
    Declined(String),
    /// The payment provider said neither yes nor no.
    #[error("the payment provider failed: {0}")]
    Payment(String),
    /// No connection to Postgres could be had.
    #[error("postgres is not available")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// Postgres refused a statement, or went away in it.
    #[error("postgres failed")]
    Postgres(#[from] tokio_postgres::Error),
    /// Redis refused a command, or is not available.
    #[error("redis failed")]
    Redis(#[from] redis::RedisError),
}

impl Error {
    /// The status of the answer and the code in its body.
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::Body(rejection) => (rejection.status(), "invalid"),
            Self::Path(rejection) => (rejection.status(), "invalid"),
            Self::ProductExists(_) => (StatusCode::CONFLICT, "product_exists"),
            Self::EmptyCart(_) => (StatusCode::CONFLICT, "empty_cart"),
            Self::CheckedOut(_) => (StatusCode::CONFLICT, "checked_out"),
            Self::OutOfStock { .. } => (StatusCode::CONFLICT, "out_of_stock"),
            Self::Declined(_) => (StatusCode::PAYMENT_REQUIRED, "declined"),
            Self::Payment(_) => (StatusCode::BAD_GATEWAY, "payment_failed"),
            Self::Pool(_) | Self::Redis(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Postgres(error) if error.is_closed() => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            Self::Postgres(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        if status.is_server_error() {
            // The client learns what failed, the log also why.
            tracing::error!("{}", chain(&self));
        }
        (
            status,
            Json(json!({ "error": code, "message": self.to_string() })),
        )
            .into_response()
    }
}

/// An error and its sources in one line, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors of the database clients repeat their source in their own text.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[track_caller]
    fn check(error: Error, status: u16, code: &str) {
        let (actual_status, actual_code) = error.status();
        assert_eq!((actual_status.as_u16(), actual_code), (status, code));
        assert_eq!(error.into_response().status(), status);
    }

    #[test]
    fn each_failure_has_its_status_and_code() {
        check(
            Error::NotFound {
                what: "order",
                id: "7".to_owned(),
            },
            404,
            "not_found",
        );
        check(Error::Invalid(String::new()), 422, "invalid");
        check(Error::ProductExists(String::new()), 409, "product_exists");
        check(Error::EmptyCart(String::new()), 409, "empty_cart");
        check(Error::CheckedOut(String::new()), 409, "checked_out");
        check(
            Error::OutOfStock {
                sku: String::new(),
                wanted: 2,
                stock: 1,
            },
            409,
            "out_of_stock",
        );
        check(Error::Declined(String::new()), 402, "declined");
        check(Error::Payment(String::new()), 502, "payment_failed");
        check(
            Error::Pool(deadpool_postgres::PoolError::Closed),
            503,
            "unavailable",
        );
        check(
            redis::RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe)).into(),
            503,
            "unavailable",
        );
        check(
            "port=none"
                .parse::<tokio_postgres::Config>()
                .unwrap_err()
                .into(),
            500,
            "internal",
        );
    }

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = Error::from(redis::RedisError::from(io::Error::other("the wire is cut")));
        assert_eq!(chain(&error), "redis failed: the wire is cut");
    }
}
