//! Why `cargo clnrm` ends, as the code it ends with: nextest's numbers where there is one.

use clnrm_runtime::protocol::Skew;
use clnrm_runtime::{CleanroomError, ErrorKind};

/// Everything ran and passed.
pub const OK: i32 = 0;
/// There was no test to run.
pub const NO_TESTS: i32 = 4;
/// Another version of clnrm is in a test binary.
pub const VERSION_SKEW: i32 = 92;
/// A filter expression is malformed.
pub const BAD_FILTER: i32 = 94;
/// The configuration or the machine is not in order.
pub const BAD_SETUP: i32 = 96;
/// Tests failed.
pub const TESTS_FAILED: i32 = 100;
/// The build failed.
pub const BUILD_FAILED: i32 = 101;
/// `cargo metadata` failed.
pub const METADATA_FAILED: i32 = 102;
/// The tests of a binary cannot be listed.
pub const LIST_FAILED: i32 = 104;
/// A service could not start.
pub const NO_SERVICE: i32 = 105;
/// Something of the run was left, and removed at its end.
pub const LEAK: i32 = 106;
/// The run was interrupted.
pub const INTERRUPTED: i32 = 130;
/// A bug of ours.
pub const INTERNAL: i32 = 70;

/// The code of an error that ends a run before its tests.
#[must_use]
pub fn of(error: &CleanroomError) -> i32 {
    match error.kind() {
        _ if Skew::of(error).is_some() => VERSION_SKEW,
        ErrorKind::Validation | ErrorKind::Plan | ErrorKind::ResourceLimit => BAD_SETUP,
        ErrorKind::Container | ErrorKind::Service | ErrorKind::Timeout => NO_SERVICE,
        _ => INTERNAL,
    }
}

/// What a run that reached its tests saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Somebody ended it.
    pub interrupted: bool,
    /// A test or a host dialled in with another version.
    pub skewed: bool,
    /// A service did not start.
    pub no_service: bool,
    /// Something was left.
    pub leaked: bool,
    /// A test failed.
    pub failed: bool,
}

impl Seen {
    /// The first code that applies.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self {
                interrupted: true, ..
            } => INTERRUPTED,
            Self { skewed: true, .. } => VERSION_SKEW,
            Self {
                no_service: true, ..
            } => NO_SERVICE,
            Self { leaked: true, .. } => LEAK,
            Self { failed: true, .. } => TESTS_FAILED,
            _ => OK,
        }
    }
}

#[cfg(test)]
mod tests {
    use clnrm_runtime::protocol::{VERSION, wire};

    use super::*;

    #[test]
    fn a_skew_has_a_code_of_its_own_whatever_was_added_to_it() {
        let hello = wire::HelloRequest {
            version: VERSION + 1,
            ..Default::default()
        };
        let skew = Skew::check_hello(&hello).unwrap_err();
        let error = CleanroomError::from(skew).with_context("host of", "shop::it");
        assert_eq!(of(&error), VERSION_SKEW);
        let other = CleanroomError::protocol_error("a host answered something else");
        assert_eq!(of(&other), INTERNAL);
    }

    #[test]
    fn the_first_that_applies_wins() {
        let all = Seen {
            interrupted: true,
            skewed: true,
            no_service: true,
            leaked: true,
            failed: true,
        };
        assert_eq!(all.code(), INTERRUPTED);
        assert_eq!(
            Seen {
                interrupted: false,
                ..all
            }
            .code(),
            VERSION_SKEW
        );
        assert_eq!(
            Seen {
                interrupted: false,
                skewed: false,
                ..all
            }
            .code(),
            NO_SERVICE
        );
        assert_eq!(
            Seen {
                failed: true,
                ..Seen::default()
            }
            .code(),
            TESTS_FAILED
        );
        assert_eq!(Seen::default().code(), OK);
    }
}
