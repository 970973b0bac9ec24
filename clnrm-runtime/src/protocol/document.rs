//! The JSON documents inside messages.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{CleanroomError, Result};

/// Writes a document.
///
/// # Errors
/// When the value cannot be JSON, which is a bug.
pub fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        CleanroomError::internal_error("a document cannot be written").with_source(error)
    })
}

/// Reads a document; `what` names it for the error.
///
/// # Errors
/// When the text is no such document. The text is not in the error: it may
/// hold secrets.
pub fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        CleanroomError::protocol_error(format!("unreadable {what}")).with_source(error)
    })
}

/// Writes an error. It cannot fail: it is what is left to say.
#[must_use]
pub fn error_to_json(error: &CleanroomError) -> String {
    serde_json::to_string(error).unwrap_or_default()
}

/// Reads an error, or makes one of what cannot be read.
#[must_use]
pub fn error_from_json(text: &str) -> CleanroomError {
    from_json("error", text).unwrap_or_else(|unreadable| unreadable)
}

/// Makes a result of a reply's `error_json`.
///
/// # Errors
/// The error that is in it.
pub fn check(error_json: Option<&str>) -> Result<()> {
    error_json.map_or(Ok(()), |text| Err(error_from_json(text)))
}

/// What a failed exchange means to the caller of `method`.
#[must_use]
pub fn status_error(method: &str, status: &tonic::Status) -> CleanroomError {
    let error = CleanroomError::protocol_error(format!("`{method}` got no answer"))
        .with_context("code", status.code())
        .with_context("answer", status.message());
    match status.code() {
        tonic::Code::Unavailable | tonic::Code::Cancelled | tonic::Code::Unknown => {
            error.with_hint("the coordinator, `cargo clnrm`, has ended or closed the connection")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn an_error_keeps_its_kind_and_context() {
        let sent = CleanroomError::timeout_error("late")
            .with_context("service", "db")
            .transient();
        let error = check(Some(&error_to_json(&sent))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.context("service"), Some("db"));
        assert!(error.is_transient());
        assert!(check(None).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_without_the_text() {
        let error = error_from_json("{\"password\": \"hunter2\"");
        assert_eq!(error.message(), "unreadable error");
        assert!(!error.report().contains("hunter2"));
    }
}
