//! From what was seen of a test's process to how the test ended. Pure.

use std::time::Duration;

use clnrm_runtime::keeper::Exit;

use crate::report::event::{Part, SetBy, Status};

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
    /// How long each part may take.
    pub(super) limit: Limit,
    /// Whether something held its output open after its end.
    pub(super) leaked: bool,
    /// The service that did not start, and why.
    pub(super) no_service: Option<(String, String)>,
}

/// How long a part of a test may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) time: Duration,
    pub(super) set_by: SetBy,
}

/// How the attempt ended.
pub(super) fn status(seen: Seen) -> Status {
    if let Some(part) = seen.overran {
        let Limit {
            time: limit,
            set_by,
        } = seen.limit;
        return Status::Timeout {
            part,
            limit,
            set_by,
        };
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
            limit: Limit {
                time: Duration::from_secs(1),
                set_by: SetBy::Attribute,
            },
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
        let expected = Status::Timeout {
            part: Part::Body,
            limit: Duration::from_secs(1),
            set_by: SetBy::Attribute,
        };
        for exit in [Exit::Signal(15), Exit::Code(0)] {
            let overran = Some(Part::Body);
            let seen = Seen {
                overran,
                ..seen(exit)
            };
            assert_eq!(status(seen), expected);
        }
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
