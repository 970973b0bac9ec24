//! Why a run has no test to run: what is there all the same, and what runs it. Pure.

use clnrm_runtime::CleanroomError;

use crate::report::event::NotRun;

/// What there is where nothing runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nothing {
    /// Tests with the attribute, of which none was selected.
    pub(super) clnrm: usize,
    /// Plain tests that the filters select.
    pub(super) plain: usize,
    /// Plain tests that they do not.
    pub(super) skipped: usize,
    /// Whether plain tests were asked for.
    pub(super) all: bool,
    /// What `cargo test` would run.
    pub(super) not_run: NotRun,
}

impl Nothing {
    /// The error that says so.
    pub(super) fn error(&self) -> CleanroomError {
        CleanroomError::validation_error("there is no test to run")
            .with_context("found", self.found())
            .with_hint(self.hint())
    }

    /// Tests that would run if the filters selected them.
    fn known(&self) -> usize {
        self.clnrm + if self.all { self.skipped } else { 0 }
    }

    fn found(&self) -> String {
        let what = if self.all { "" } else { "clnrm " };
        let mut found = match self.known() {
            0 => format!("no {what}test at all"),
            known => format!("{known} {what}tests, of which the filters select none"),
        };
        let NotRun {
            harnessless,
            doctests,
            ..
        } = self.not_run;
        for (number, one, many) in [
            (
                harnessless,
                "target without a harness",
                "targets without a harness",
            ),
            (doctests, "library with doctests", "libraries with doctests"),
        ] {
            if number > 0 {
                let noun = if number == 1 { one } else { many };
                found += &format!(", {number} {noun}");
            }
        }
        found
    }

    fn hint(&self) -> &'static str {
        let others = self.not_run.harnessless + self.not_run.doctests;
        match self.known() {
            _ if self.plain > 0 => {
                "`--all` runs the plain tests that the filters select; `--no-tests=pass` allows that there is none"
            }
            0 if others > 0 => {
                "only `cargo test` runs targets without a harness and doctests; `--no-tests=pass` allows that there is none"
            }
            0 => "give a test the attribute `#[clnrm::test]`, or allow it with `--no-tests=pass`",
            _ if self.all => "look at the filters, or allow it with `--no-tests=pass`",
            _ => "see them all with `cargo clnrm list`, or allow it with `--no-tests=pass`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(nothing: Nothing, found: &str, hint: &str) {
        let error = nothing.error();
        assert_eq!(error.context("found"), Some(found));
        let said = error.hint().unwrap();
        assert!(said.contains(hint), "{said}");
    }

    #[test]
    fn it_says_what_is_there_and_what_runs_it() {
        let none = Nothing::default();
        check(none, "no clnrm test at all", "give a test the attribute");
        let all = Nothing { all: true, ..none };
        check(all, "no test at all", "give a test the attribute");
        let clnrm = Nothing { clnrm: 3, ..none };
        let found = "3 clnrm tests, of which the filters select none";
        check(clnrm, found, "`cargo clnrm list`");
        check(Nothing { plain: 2, ..clnrm }, found, "`--all` runs");
        let filtered = Nothing { skipped: 4, ..all };
        let found = "4 tests, of which the filters select none";
        check(filtered, found, "look at the filters");
        let not_run = NotRun {
            harnessless: 1,
            ..NotRun::default()
        };
        let own = Nothing { not_run, ..all };
        let found = "no test at all, 1 target without a harness";
        check(own, found, "only `cargo test` runs");
    }
}
