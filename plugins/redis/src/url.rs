//! What the URL of a Redis is made of.

use clnrm_runtime::plugin::External;
use clnrm_runtime::service::{Secret, Var};
use clnrm_runtime::{CleanroomError, Result};
use redis::{ConnectionAddr, IntoConnectionInfo};

/// What the exports name.
pub(crate) fn vars(user: &str, password: Option<&Secret>, database: i64) -> [(String, Var); 4] {
    let userinfo = match password {
        Some(password) => Var::userinfo(user, password),
        None => Var::plain(""),
    };
    let password = password.map_or(Var::plain(""), Var::from);
    [
        ("userinfo".to_owned(), userinfo),
        ("username".to_owned(), Var::plain(user)),
        ("password".to_owned(), password),
        ("database".to_owned(), Var::plain(database.to_string())),
    ]
}

/// Reads the URL of somebody else's server.
pub(crate) fn read_url(url: &str) -> Result<External> {
    // The URL itself is left out: a password may stand in it.
    let wrong = |why: &str| {
        CleanroomError::validation_error(format!("bad Redis URL: {why}"))
            .with_hint("write `redis://user:password@host:6379/0`")
    };
    let info = url.into_connection_info();
    let info = info.map_err(|error| wrong("it does not parse").with_source(error))?;
    let ConnectionAddr::Tcp(host, port) = info.addr() else {
        return Err(wrong(
            "it names no host and port that can be reached without TLS",
        ));
    };
    let settings = info.redis_settings();
    let password = settings.password().map(Secret::from);
    let user = settings.username().unwrap_or("default");
    let bracketed = host.contains(':').then(|| format!("[{host}]"));
    Ok(External {
        host: bracketed.unwrap_or_else(|| host.clone()),
        port: *port,
        vars: vars(user, password.as_ref(), settings.db())
            .into_iter()
            .collect(),
    })
}
