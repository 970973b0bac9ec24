//! The flags of `test`, `list` and `plan`.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use clnrm_runtime::plan::Preference;

use super::Selection;
use crate::report::Target;

/// Which tests.
#[derive(Debug, Clone, Args)]
pub struct Choice {
    /// Only tests whose name contains one of these words.
    #[arg(value_name = "FILTER")]
    pub filters: Vec<String>,
    /// Only tests that the expression selects: nextest's grammar and `service(NAME)`.
    #[arg(short = 'E', long = "filter-expr", value_name = "EXPR")]
    pub expressions: Vec<String>,
    /// What to do with `#[ignore]`d tests.
    #[arg(long, value_name = "WHICH", default_value = "default")]
    pub run_ignored: RunIgnored,
    /// Download nothing.
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flattened arguments document themselves")]
    pub selection: Selection,
    /// Words, `--skip WORD`, `--exact`, `--ignored` and `--include-ignored` select as libtest does; the rest goes to the
    /// test binaries.
    #[arg(last = true, value_name = "ARGS")]
    pub test_args: Vec<String>,
    /// Not the tests whose name contains one of these words: `--skip` after `--`.
    #[arg(skip)]
    pub skip: Vec<String>,
    /// Whether words are whole names: `--exact` after `--`.
    #[arg(skip)]
    pub exact: bool,
}

impl Choice {
    /// Every test of a selection.
    #[must_use]
    pub fn of(selection: Selection) -> Self {
        Self {
            filters: Vec::new(),
            expressions: Vec::new(),
            run_ignored: RunIgnored::All,
            offline: false,
            selection,
            test_args: Vec::new(),
            skip: Vec::new(),
            exact: false,
        }
    }
}

/// Which tests, and where their services run.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flattened arguments document themselves")]
    pub tests: Choice,
    /// Where services run: `auto`, `docker` or `process`.
    #[arg(long, value_name = "BACKEND", value_parser = Preference::from_str)]
    pub backend: Option<Preference>,
    /// The set of settings of clnrm.toml to use.
    #[arg(short = 'P', long, value_name = "NAME")]
    pub profile: Option<String>,
}

impl PlanArgs {
    /// Every test of a selection, by the default profile.
    #[must_use]
    pub fn of(selection: Selection) -> Self {
        Self {
            tests: Choice::of(selection),
            backend: None,
            profile: None,
        }
    }
}

/// `cargo clnrm list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// How to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flattened arguments document themselves")]
    pub tests: Choice,
}

/// `cargo clnrm plan`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// How to print.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flattened arguments document themselves")]
    pub plan: PlanArgs,
}

/// `cargo clnrm test`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Tests at once; the number of cores when absent.
    #[arg(short = 'j', long, value_name = "N", value_parser = at_least_one)]
    pub test_threads: Option<usize>,
    /// Run the plain `#[test]`s of the selected binaries too.
    #[arg(long)]
    pub all: bool,
    /// Let tests write to the terminal; one at a time.
    #[arg(long, visible_alias = "nocapture")]
    pub no_capture: bool,
    /// Start no further test after one has failed.
    #[arg(long, overrides_with = "no_fail_fast")]
    pub fail_fast: bool,
    /// Run every test whatever fails (the default).
    #[arg(long)]
    pub no_fail_fast: bool,
    /// Keep what failed tests used when the run has ended; `cargo clnrm clean` removes it.
    #[arg(long)]
    pub keep_failed: bool,
    /// Further attempts of a test that failed.
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    /// Write a report: `junit=PATH` or `json=PATH`.
    #[arg(long, value_name = "KIND=PATH")]
    pub report: Vec<Target>,
    /// What it means that there is no test to run.
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    pub no_tests: NoTests,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flattened arguments document themselves")]
    pub plan: PlanArgs,
}

impl RunArgs {
    /// The flags that decide what is built, which kinds of tests run, and
    /// where: with them and a filter of its own a test runs alone as it did
    /// among the others.
    #[must_use]
    pub fn again(&self) -> Vec<String> {
        let PlanArgs {
            tests,
            backend,
            profile,
        } = &self.plan;
        let Choice {
            run_ignored,
            offline,
            selection,
            ..
        } = tests;
        let mut flags = selection.to_flags();
        flags.extend(self.all.then(|| "--all".to_owned()));
        flags.extend(offline.then(|| "--offline".to_owned()));
        let run_ignored = match run_ignored {
            RunIgnored::Default => None,
            RunIgnored::Only => Some("only".to_owned()),
            RunIgnored::All => Some("all".to_owned()),
        };
        for (flag, value) in [
            ("--run-ignored", run_ignored),
            ("--backend", backend.map(|backend| backend.to_string())),
            ("--profile", profile.clone()),
        ] {
            flags.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
        }
        flags
    }
}

/// What to do with `#[ignore]`d tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunIgnored {
    /// Leave them out.
    Default,
    /// Run them alone.
    Only,
    /// Run them too.
    All,
}

impl RunIgnored {
    /// Whether a test is wanted.
    #[must_use]
    pub fn includes(self, ignored: bool) -> bool {
        match self {
            Self::Default => !ignored,
            Self::Only => ignored,
            Self::All => true,
        }
    }
}

/// What it means that there is no test to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NoTests {
    /// Exit code 4.
    Fail,
    /// A warning and exit code 0.
    Warn,
    /// Exit code 0.
    Pass,
}

/// How a plan or a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("no test would run with 0; give at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("a whole number, at least 1".to_owned()),
    }
}
