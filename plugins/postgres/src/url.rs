//! What the URL of a PostgreSQL is made of.

use clnrm_runtime::plugin::External;
use clnrm_runtime::service::{Secret, Var};
use clnrm_runtime::{CleanroomError, Result};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::config::is_url_safe;

/// What the exports name. The plugin itself connects to `maintenance`.
pub(crate) fn vars(
    user: &str,
    password: &Secret,
    database: &str,
    maintenance: &str,
) -> [(String, Var); 5] {
    [
        ("userinfo".to_owned(), Var::userinfo(user, password)),
        ("username".to_owned(), Var::plain(user)),
        ("password".to_owned(), password.into()),
        ("database".to_owned(), Var::plain(database)),
        ("maintenance".to_owned(), Var::plain(maintenance)),
    ]
}

/// Reads the URL of somebody else's server.
pub(crate) fn read_url(url: &str) -> Result<External> {
    // The URL itself is left out: a password may stand in it.
    let wrong = |why: &str| {
        CleanroomError::validation_error(format!("bad PostgreSQL URL: {why}"))
            .with_hint("write `postgres://user:password@host:5432/database`")
    };
    let config: Config = url.parse().map_err(|_| wrong("it does not parse"))?;
    let host = match config.get_hosts() {
        [Host::Tcp(host)] => host,
        [_] => return Err(wrong("it names a socket, and containers cannot reach that")),
        _ => return Err(wrong("it does not name exactly one host")),
    };
    if config.get_ssl_mode() == SslMode::Require {
        return Err(wrong(
            "`sslmode=require` cannot be had: clnrm connects without TLS",
        ));
    }
    let user = config.get_user().ok_or_else(|| wrong("it names no user"))?;
    let database = config.get_dbname().unwrap_or(user);
    if !is_url_safe(database) {
        return Err(wrong(
            "the name of its database has other characters than letters, digits, `_`, `-` and `.`",
        ));
    }
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default());
    let bracketed = host.contains(':').then(|| format!("[{host}]"));
    Ok(External {
        host: bracketed.unwrap_or_else(|| host.clone()),
        port: config.get_ports().first().copied().unwrap_or(5432),
        vars: vars(user, &password.into_owned().into(), database, database).into(),
    })
}
