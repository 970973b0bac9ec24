//! Calls into plugin code, which may panic: a panic is an error of that call and of nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{CleanroomError, Result};

/// Runs `code` of a plugin. `what` names the call for the message: `` `slice` of `db` ``.
///
/// # Errors
/// As `code`, or a service error with the message of its panic.
pub(crate) fn guard<T>(what: &str, code: impl FnOnce() -> Result<T>) -> Result<T> {
    // Plugins take `&self` and hand out values: what a panic left half done in
    // one is the plugin's own, as it is behind any lock or channel.
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(result) => result,
        Err(panic) => Err(CleanroomError::service_error(format!(
            "{what} panicked: {}",
            message_of(&*panic)
        ))
        .with_hint("the panic's place is in the output; a plugin returns errors instead")),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_has_the_message_of_the_panic() {
        let port = 7;
        let error = guard::<()>("`ready` of `db`", || panic!("port {port}")).unwrap_err();
        assert_eq!(error.message(), "`ready` of `db` panicked: port 7");
        let error = guard::<()>("`ready` of `db`", || panic!("plain")).unwrap_err();
        assert_eq!(error.message(), "`ready` of `db` panicked: plain");
        let odd = || std::panic::panic_any(7);
        let error = guard::<()>("`ready` of `db`", odd).unwrap_err();
        assert_eq!(error.message(), "`ready` of `db` panicked: no message");
    }

    #[test]
    fn values_and_errors_pass_through() {
        assert_eq!(guard("x", || Ok(1)).unwrap(), 1);
        let error = guard::<()>("x", || Err(CleanroomError::timeout_error("late"))).unwrap_err();
        assert_eq!(error.message(), "late");
    }
}
