//! The one error type of clnrm: what happened, to which service, where, and what to do next.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The result of everything that can fail in clnrm.
pub type Result<T, E = CleanroomError> = std::result::Result<T, E>;

/// Which part of the product an error belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A declaration, a configuration or an argument is wrong.
    Validation,
    /// A container or a process could not be created, started or removed.
    Container,
    /// A service did not behave: not ready, unhealthy, a failed slice.
    Service,
    /// A deadline passed.
    Timeout,
    /// A limit of a resource type was reached.
    ResourceLimit,
    /// The run cannot be planned as it is declared.
    Plan,
    /// Two processes of one run did not understand each other.
    Protocol,
    /// A bug of clnrm itself.
    Internal,
}

impl ErrorKind {
    /// The words that start a one-line rendering of an error of this kind.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Container => "container",
            Self::Service => "service",
            Self::Timeout => "timeout",
            Self::ResourceLimit => "resource limit",
            Self::Plan => "plan",
            Self::Protocol => "protocol",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error of clnrm.
///
/// `Display` prints the message, then one indented line for each context
/// field, then the hint. The source is not repeated there: walk
/// [`Error::source`] for it.
///
/// ```
/// use clnrm_runtime::CleanroomError;
///
/// let error = CleanroomError::container_error("image `postgres:99` is not present")
///     .with_context("service", "db (postgres)")
///     .with_hint("run `docker pull postgres:99`, or set `backend = \"process\"`");
/// assert_eq!(
///     error.to_string(),
///     "image `postgres:99` is not present\n  \
///      service: db (postgres)\n  \
///      hint: run `docker pull postgres:99`, or set `backend = \"process\"`"
/// );
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct CleanroomError(Box<Inner>);

#[derive(Clone, Serialize, Deserialize)]
struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<(String, String)>,
    hint: Option<String>,
    transient: bool,
    /// What the source said, for a receiver in another process.
    cause: Option<String>,
    #[serde(skip)]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl CleanroomError {
    /// An error of `kind`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            hint: None,
            transient: false,
            cause: None,
            source: None,
        }))
    }

    /// A wrong declaration, configuration or argument.
    #[must_use]
    pub fn validation_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Validation, message)
    }

    /// A container or process that could not be created, started or removed.
    #[must_use]
    pub fn container_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Container, message)
    }

    /// A service that did not behave.
    #[must_use]
    pub fn service_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Service, message)
    }

    /// A deadline that passed.
    #[must_use]
    pub fn timeout_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// A limit that was reached.
    #[must_use]
    pub fn resource_limit_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ResourceLimit, message)
    }

    /// A run that cannot be planned.
    #[must_use]
    pub fn plan_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Plan, message)
    }

    /// Two processes that did not understand each other.
    #[must_use]
    pub fn protocol_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    /// A bug of clnrm itself.
    #[must_use]
    pub fn internal_error(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds a field that says where or to what it happened. The order is kept.
    #[must_use]
    pub fn with_context(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.0.context.push((key.into(), value.to_string()));
        self
    }

    /// Also says what could not be removed of that which failed. This stays
    /// the error to tell: it came first.
    #[must_use]
    pub(crate) fn with_removal(self, removed: Result<()>) -> Self {
        match removed {
            Ok(()) => self,
            Err(left) => self.with_context("left behind", left.message()),
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Keeps the error beneath this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(chain(&source));
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Marks an error that another attempt may not meet.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.0.transient = true;
        self
    }

    /// Which part of the product it belongs to.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The value of a context field.
    #[must_use]
    pub fn context(&self, key: &str) -> Option<&str> {
        let field = self.0.context.iter().find(|(name, _)| name == key);
        field.map(|(_, value)| value.as_str())
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What the errors beneath this one said, joined by `: `.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// Whether another attempt may succeed. Retries look at nothing else.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// Everything a person needs: the display form, and the cause.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = self.0.message.clone();
        if let Some(cause) = &self.0.cause {
            text.push_str(": ");
            text.push_str(cause);
        }
        for (key, value) in &self.0.context {
            text.push_str(&field(key, value));
        }
        if let Some(hint) = &self.0.hint {
            text.push_str(&field("hint", hint));
        }
        text
    }
}

impl fmt::Display for CleanroomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (key, value) in &self.0.context {
            f.write_str(&field(key, value))?;
        }
        match &self.0.hint {
            Some(hint) => f.write_str(&field("hint", hint)),
            None => Ok(()),
        }
    }
}

/// `Debug` is what `fn main() -> Result<..>` and a failed test print, so it is
/// the report for people and not the fields.
impl fmt::Debug for CleanroomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} error: {}", self.0.kind, self.report())
    }
}

impl Error for CleanroomError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.0.source.as_ref()?;
        Some(source.as_ref())
    }
}

/// One context line; further lines of the value are indented below it.
fn field(key: &str, value: &str) -> String {
    let mut lines = value.lines();
    let mut text = format!("\n  {key}: {}", lines.next().unwrap_or_default());
    for line in lines {
        text.push_str("\n    ");
        text.push_str(line);
    }
    text
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let part = error.to_string();
        // Some libraries repeat their source in their own text.
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructors_take_every_kind_of_string() {
        let owned = String::from("a");
        for error in [
            CleanroomError::validation_error("a"),
            CleanroomError::container_error(&owned),
            CleanroomError::service_error(owned.clone()),
            CleanroomError::internal_error(&owned),
        ] {
            assert_eq!(error.message(), "a");
        }
    }

    #[test]
    fn the_cause_survives_another_process() {
        let source = std::io::Error::other("disk is gone");
        let error = CleanroomError::container_error("cannot start").with_source(source);
        let sent = serde_json::to_string(&error).unwrap();
        let received: CleanroomError = serde_json::from_str(&sent).unwrap();
        assert_eq!(received.report(), "cannot start: disk is gone");
        assert!(error.source().is_some());
    }

    #[test]
    fn a_removal_that_fails_does_not_hide_the_first_error() {
        let full = || CleanroomError::container_error("the disk is full");
        assert_eq!(full().with_removal(Ok(())).to_string(), full().to_string());
        let busy = CleanroomError::container_error("`x` is in use");
        let error = full().with_removal(Err(busy));
        assert_eq!(
            error.to_string(),
            "the disk is full\n  left behind: `x` is in use"
        );
    }

    #[test]
    fn a_value_of_many_lines_is_indented() {
        let error = CleanroomError::service_error("x").with_context("log", "one\ntwo");
        assert_eq!(error.to_string(), "x\n  log: one\n    two");
    }
}
