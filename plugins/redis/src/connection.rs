//! Connections to a Redis, and whether it is ours.

use std::time::Duration;

use clnrm_runtime::{CleanroomError, Result, ServiceHandle};
use redis::{Client, Connection, ErrorKind, RedisError, cmd};

/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects as the handle's user: its own, or that of a slice.
pub(crate) fn connect(handle: &ServiceHandle) -> Result<Connection> {
    let connection = Client::open(handle.url()?)
        .and_then(|client| client.get_connection_with_timeout(PATIENCE))
        .map_err(|error| {
            let is_locked = error.kind() == ErrorKind::AuthenticationFailed;
            let error = CleanroomError::service_error("cannot connect to Redis").with_source(error);
            if is_locked {
                return error.with_hint(
                    "another server may have taken the port, or the URL has another password",
                );
            }
            error
        })?;
    for set in [Connection::set_read_timeout, Connection::set_write_timeout] {
        set(&connection, Some(PATIENCE)).map_err(|error| refused("a deadline", error))?;
    }
    Ok(connection)
}

/// Whether the server lets everybody in, as none of ours does.
pub(crate) fn takes_any_password(connection: &mut Connection) -> Result<bool> {
    let setting = cmd("CONFIG").arg(("GET", "requirepass")).query(connection);
    let (_, password): (String, String) =
        setting.map_err(|error| refused("to say that it has a password", error))?;
    Ok(password.is_empty())
}

/// The error of a server that says no.
pub(crate) fn refused(what: &str, error: RedisError) -> CleanroomError {
    CleanroomError::service_error(format!("Redis refused {what}")).with_source(error)
}
