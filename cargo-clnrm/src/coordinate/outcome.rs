//! From what was seen of a test's process to how the test ended. Pure.

use clnrm_runtime::keeper::Exit;

use crate::report::event::{Part, Status};

/// What was seen of an attempt.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// How its process ended.
    pub(super) exit: Exit,
    /// Whether it is a clnrm test, which says when it has finished.
    pub(super) speaks: bool,
    /// Whether it said so.
    pub(super) finished: bool,
    /// What of it took longer than it may.
    pub(super) overran: Option<Part>,
    /// Whether something held its output open after its end.
    pub(super) leaked: bool,
    /// The service that did not start, and why.
    pub(super) no_service: Option<(String, String)>,
}

/// How the attempt ended.
pub(super) fn status(seen: Seen) -> Status {
    if let Some(part) = seen.overran {
        return Status::Timeout { part };
    }
    if let Some((service, error)) = seen.no_service {
        return Status::NoService { service, error };
    }
    match seen.exit {
        Exit::Signal(signal) => Status::Signal { signal },
        // `exit(0)` in a test looks green to libtest, and is not.
        Exit::Code(0) if seen.speaks && !seen.finished => Status::Unfinished,
        Exit::Code(0) if seen.leaked => Status::Leak,
        Exit::Code(0) => Status::Pass,
        Exit::Code(code) => Status::Fail { code },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(exit: Exit) -> Seen {
        Seen {
            exit,
            speaks: true,
            finished: true,
            overran: None,
            leaked: false,
            no_service: None,
        }
    }

    #[test]
    fn a_code_or_a_signal_says_how_it_ended() {
        assert_eq!(status(seen(Exit::Code(0))), Status::Pass);
        assert_eq!(status(seen(Exit::Code(101))), Status::Fail { code: 101 });
        assert_eq!(status(seen(Exit::Signal(6))), Status::Signal { signal: 6 });
    }

    #[test]
    fn an_end_with_0_before_the_test_has_finished_is_no_pass() {
        assert_eq!(
            status(Seen {
                finished: false,
                ..seen(Exit::Code(0))
            }),
            Status::Unfinished
        );
        let plain = Seen {
            finished: false,
            speaks: false,
            ..seen(Exit::Code(0))
        };
        assert_eq!(status(plain), Status::Pass);
    }

    #[test]
    fn a_timeout_is_a_timeout_however_the_process_then_ended() {
        assert_eq!(
            status(Seen {
                overran: Some(Part::Body),
                ..seen(Exit::Signal(15))
            }),
            Status::Timeout { part: Part::Body }
        );
        assert_eq!(
            status(Seen {
                overran: Some(Part::Body),
                ..seen(Exit::Code(0))
            }),
            Status::Timeout { part: Part::Body }
        );
    }

    #[test]
    fn a_service_that_did_not_start_is_the_reason_before_the_code() {
        let no_service = Some(("db".to_owned(), "gone".to_owned()));
        let expected = Status::NoService {
            service: "db".to_owned(),
            error: "gone".to_owned(),
        };
        assert_eq!(
            status(Seen {
                no_service,
                ..seen(Exit::Code(101))
            }),
            expected
        );
    }

    #[test]
    fn output_held_open_is_a_leak_only_of_a_test_that_passed() {
        assert_eq!(
            status(Seen {
                leaked: true,
                ..seen(Exit::Code(0))
            }),
            Status::Leak
        );
        assert_eq!(
            status(Seen {
                leaked: true,
                ..seen(Exit::Code(1))
            }),
            Status::Fail { code: 1 }
        );
    }
}
