//! Calls into plugin code, which may panic: a panic is an error of that call and of nothing else.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::error::{CleanroomError, Result};

/// Runs `code` of a plugin. `what` names the call for the message: `` `slice` of `db` ``.
///
/// # Errors
/// As `code`, or a service error with the message of its panic.
pub(crate) fn guard<T>(what: &str, code: impl FnOnce() -> Result<T>) -> Result<T> {
    // Plugins take `&self` and hand out values: what a panic left half done in
    // one is the plugin's own, as it is behind any lock or channel.
    note_places();
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(result) => result,
        Err(panic) => {
            let message = format!("{what} panicked: {}", message_of(&*panic));
            let error = CleanroomError::service_error(message);
            let error = match PLACE.take() {
                Some(place) => error.with_context("at", place),
                None => error,
            };
            Err(error.with_hint("a plugin returns errors instead"))
        }
    }
}

thread_local! {
    /// Where this thread panicked last.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Has each panic note its place: what a host prints nobody may get to see.
fn note_places() {
    static ONCE: Once = Once::new();
    // The hook cannot be changed by whoever cleans up after a panic.
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            // A thread that is just ending has no place for it.
            let _ = PLACE.try_with(|it| it.set(place));
            before(info);
        }));
    });
}

/// What a panic says.
pub(crate) fn message_of(panic: &(dyn Any + Send)) -> &str {
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
        let place = error.context("at").unwrap();
        assert!(place.starts_with(file!()), "{place}");
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
