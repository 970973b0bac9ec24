//! What stands after `--`: libtest's options that select tests are clnrm's to follow, the others are the binaries'.
//!
//! A binary is given one test by its exact name, so that a selection of its own would only contradict that.

use clnrm_runtime::{CleanroomError, Result};

use super::{Choice, RunIgnored};

/// Options of libtest that a run cannot pass on, with what is there instead.
const INSTEAD: [(&str, &str); 9] = [
    ("--nocapture", "give `--no-capture` before the `--`"),
    ("--no-capture", "give it before the `--`"),
    ("--test-threads", "give `-j N` before the `--`"),
    ("--fail-fast", "give it before the `--`"),
    ("--list", "use `cargo clnrm list`"),
    ("--help", "use `cargo clnrm test --help`"),
    ("-h", "use `cargo clnrm test --help`"),
    ("--bench", "benchmarks are run by `cargo bench`"),
    (
        "--exclude-should-panic",
        "leave tests out with `--skip WORD` or `-E 'not test(NAME)'`",
    ),
];

/// Options of libtest whose value may be an argument of its own.
const WITH_VALUE: [&str; 5] = ["--color", "--format", "--logfile", "--shuffle-seed", "-Z"];

impl Choice {
    /// Takes from the arguments after `--` what selects tests, as libtest would read it, and leaves the rest there.
    ///
    /// # Errors
    /// When an option has no value, or contradicts another or what a run tells each binary.
    pub fn take_harness_args(&mut self) -> Result<()> {
        let mut args = std::mem::take(&mut self.test_args).into_iter();
        while let Some(arg) = args.next() {
            let name = arg.split_once('=').map_or(arg.as_str(), |(name, _)| name);
            if let Some((_, instead)) = INSTEAD.iter().find(|(option, _)| *option == name) {
                return Err(refused(name).with_hint(*instead));
            }
            match name {
                "--" => self.filters.extend(args.by_ref()),
                "--exact" => self.exact = true,
                "--skip" => {
                    let value = arg.strip_prefix("--skip=").map(str::to_owned);
                    let word = value.or_else(|| args.next());
                    self.skip.push(word.ok_or_else(without_word)?);
                }
                "--ignored" => self.take_ignored(RunIgnored::Only)?,
                "--include-ignored" => self.take_ignored(RunIgnored::All)?,
                option if option.starts_with('-') => {
                    let apart = WITH_VALUE.contains(&arg.as_str());
                    self.test_args.push(arg);
                    self.test_args.extend(args.by_ref().take(apart.into()));
                }
                _ => self.filters.push(arg),
            }
        }
        Ok(())
    }

    fn take_ignored(&mut self, which: RunIgnored) -> Result<()> {
        if ![RunIgnored::Default, which].contains(&self.run_ignored) {
            let both = "it is said in two ways which ignored tests to run";
            return Err(CleanroomError::validation_error(both)
                .with_hint("give one of `--run-ignored`, `--ignored` and `--include-ignored`"));
        }
        self.run_ignored = which;
        Ok(())
    }
}

fn refused(option: &str) -> CleanroomError {
    CleanroomError::validation_error(format!(
        "`{option}` after `--` is no option for a binary that is given one test"
    ))
}

fn without_word() -> CleanroomError {
    CleanroomError::validation_error("`--skip` after `--` has no word")
        .with_hint("say which tests to leave out: `-- --skip WORD`")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cargo, CargoCommand, Clnrm, Command};

    fn read(line: &str) -> Result<Choice> {
        let words = ["cargo", "clnrm", "list"].into_iter();
        let words = words.chain(line.split_whitespace());
        let CargoCommand::Clnrm(Clnrm { command, .. }) = Cargo::parse_from(words).command;
        let Command::List(mut args) = command else {
            panic!("{command:?}");
        };
        args.tests.take_harness_args().map(|()| args.tests.clone())
    }

    #[track_caller]
    fn check(line: &str, words: &[&str], skip: &[&str], rest: &[&str]) -> Choice {
        let args = read(line).unwrap();
        assert_eq!(args.filters, words, "words of `{line}`");
        assert_eq!(args.skip, skip, "skipped by `{line}`");
        assert_eq!(args.test_args, rest, "left of `{line}`");
        args
    }

    #[test]
    fn what_selects_is_taken_and_the_rest_is_left() {
        let args = check("a", &["a"], &[], &[]);
        assert!(!args.exact && args.run_ignored == RunIgnored::Default);
        let args = check("a -- --exact b", &["a", "b"], &[], &[]);
        assert!(args.exact);
        check("-- --skip a --skip=b c", &["c"], &["a", "b"], &[]);
        check("-- a -- --b", &["a", "--b"], &[], &[]);
        let rest = [
            "--show-output",
            "--color",
            "always",
            "-Z",
            "x",
            "--format=pretty",
        ];
        let line = "-- --show-output --color always a -Z x --format=pretty b";
        check(line, &["a", "b"], &[], &rest);
        let args = check("-- --ignored", &[], &[], &[]);
        assert_eq!(args.run_ignored, RunIgnored::Only);
        let args = check("--run-ignored all -- --include-ignored", &[], &[], &[]);
        assert_eq!(args.run_ignored, RunIgnored::All);
    }

    #[test]
    fn what_contradicts_is_refused_with_what_to_write() {
        for (line, hint) in [
            ("-- --nocapture", "give `--no-capture` before the `--`"),
            ("-- --test-threads=1", "give `-j N` before the `--`"),
            ("-- a --list", "use `cargo clnrm list`"),
            ("-- --skip", "`-- --skip WORD`"),
            ("-- --ignored --include-ignored", "give one of"),
            ("--run-ignored only -- --include-ignored", "give one of"),
        ] {
            let error = read(line).unwrap_err();
            let found = error.hint().unwrap_or_default();
            assert!(found.contains(hint), "{line}: {error}");
        }
    }
}
