//! What the environment says; reading it connects to nothing.

use std::{env, fmt::Display, net::SocketAddr, str::FromStr};

use axum::http::Uri;

/// The shop's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen: `BIND` (default `127.0.0.1`) and `PORT`.
    pub listen: SocketAddr,
    /// Products and orders: `DATABASE_URL`.
    pub database: tokio_postgres::Config,
    /// Carts: `REDIS_URL`.
    pub redis: redis::Client,
    /// The payment provider: `PAYMENT_URL`. Without it, orders are not charged.
    pub payment: Option<Uri>,
}

/// A variable that is missing or wrong. Its value is not shown: URLs hold passwords.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{name}` {problem} (hint: for example `{name}={example}`)")]
pub struct ConfigError {
    name: &'static str,
    problem: String,
    example: &'static str,
}

/// A source of variables: the process's environment, or a test's table.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads the whole configuration; pass [`from_env`] for the process's own.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn read(get: Lookup<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: listen(get)?,
            database: database(get)?,
            redis: required(get, "REDIS_URL", "redis://127.0.0.1:6379/", |url| {
                redis::Client::open(url)
            })?,
            payment: optional(get, "PAYMENT_URL", "http://127.0.0.1:9000", http_url)?,
        })
    }
}

/// Looks a variable up in the environment of this process.
pub fn from_env(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Reads `BIND` and `PORT`.
///
/// # Errors
/// Says which of the two is missing or wrong.
pub fn listen(get: Lookup<'_>) -> Result<SocketAddr, ConfigError> {
    let address = optional(get, "BIND", "0.0.0.0", |text| text.parse())?;
    let port = required(get, "PORT", "8080", |text| text.parse())?;
    Ok(SocketAddr::new(
        address.unwrap_or_else(|| [127, 0, 0, 1].into()),
        port,
    ))
}

/// Reads `DATABASE_URL`.
///
/// # Errors
/// Says that it is missing or wrong.
pub fn database(get: Lookup<'_>) -> Result<tokio_postgres::Config, ConfigError> {
    required(
        get,
        "DATABASE_URL",
        "postgres://postgres@127.0.0.1:5432/shop",
        tokio_postgres::Config::from_str,
    )
}

/// Reads and parses a variable that must be set.
fn required<T, E: Display>(
    get: Lookup<'_>,
    name: &'static str,
    example: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<T, ConfigError> {
    optional(get, name, example, parse)?.ok_or_else(|| ConfigError {
        name,
        problem: "is not set".to_owned(),
        example,
    })
}

/// Reads and parses a variable that may be unset. An empty one counts as unset, as in most shells and manifests.
///
/// # Errors
/// Says that it is set and wrong.
pub fn optional<T, E: Display>(
    get: Lookup<'_>,
    name: &'static str,
    example: &'static str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = get(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let wrong = |error| ConfigError {
        name,
        problem: format!("is wrong: {error}"),
        example,
    };
    parse(&value).map(Some).map_err(wrong)
}

fn http_url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(_)) => Ok(url),
        _ => Err("it is not an `http://` URL with a host".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: [(&str, &str); 3] = [
        ("PORT", "8080"),
        ("DATABASE_URL", "postgres://u:hush@db/shop"),
        ("REDIS_URL", "redis://cache/3"),
    ];

    /// Reads the full configuration with one variable changed.
    fn read_with(name: &str, value: &str) -> Result<Config, ConfigError> {
        Config::read(&|wanted| {
            let value = if wanted == name {
                Some(value)
            } else {
                FULL.iter().find(|(n, _)| *n == wanted).map(|f| f.1)
            };
            value.map(str::to_owned)
        })
    }

    #[test]
    fn listens_on_loopback_unless_told_otherwise() {
        assert_eq!(
            read_with("", "").unwrap().listen.to_string(),
            "127.0.0.1:8080"
        );
        assert_eq!(
            read_with("BIND", "::").unwrap().listen.to_string(),
            "[::]:8080"
        );
    }

    #[test]
    fn takes_the_stores_from_their_urls() {
        let config = read_with("PAYMENT_URL", "http://pay:9000").unwrap();
        assert_eq!(config.database.get_dbname(), Some("shop"));
        assert_eq!(config.redis.get_connection_info().redis_settings().db(), 3);
        assert_eq!(config.payment.unwrap().host(), Some("pay"));
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        assert_eq!(read_with("PAYMENT_URL", "").unwrap().payment, None);
        let error = read_with("PORT", "").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`PORT` is not set (hint: for example `PORT=8080`)"
        );
    }

    #[test]
    fn a_wrong_variable_is_named_and_its_value_is_not_shown() {
        #[track_caller]
        fn check(name: &str, value: &str) {
            let message = read_with(name, value).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("`{name}` is wrong: ")),
                "{message}"
            );
            assert!(!message.contains("hush"), "{message}");
        }
        check("PORT", "hush");
        check("BIND", "hush");
        check("DATABASE_URL", "postgres://u:hush@db:none/shop");
        check("REDIS_URL", "http://u:hush@cache/");
        check("PAYMENT_URL", "https://u:hush@pay/");
    }
}
