//! Builds the tests and reads what they say of themselves: nothing of theirs is run.

use std::time::Instant;

use clnrm_runtime::CleanroomError;
use tokio::sync::mpsc;

use super::nothing::Nothing;
use super::settings::Ended;
use crate::cli::Choice;
use crate::discover::{
    Build, BuildMessage, Discovered, SectionError, Selected, Severity, TestBinary, descriptors,
    graph, select,
};
use crate::exit;
use crate::filter::{Filter, Selection};
use crate::report::event::{Level, RunEvent};

/// What a build gave.
#[derive(Debug)]
pub struct Discovery {
    /// Every binary with a clnrm test.
    pub binaries: Vec<Discovered>,
    /// Binaries without a clnrm test.
    pub plain: Vec<TestBinary>,
    /// The tests that the filters select.
    pub selected: Selected,
}

impl Discovery {
    /// Every binary that was built for tests.
    pub fn all(&self) -> impl Iterator<Item = &TestBinary> {
        let ours = self.binaries.iter().map(|found| &found.binary);
        ours.chain(&self.plain)
    }

    /// How many clnrm tests there are, selected or not.
    #[must_use]
    pub fn known(&self) -> usize {
        self.binaries.iter().map(|found| found.tests.len()).sum()
    }

    /// What to say where no test is selected, and none was to run.
    #[must_use]
    pub fn no_tests(&self) -> CleanroomError {
        let nothing = Nothing {
            clnrm: self.known(),
            ..Nothing::default()
        };
        nothing.error().with_hint(match nothing.clnrm {
            0 => "give a test the attribute `#[clnrm::test]`",
            _ => "`cargo clnrm list` without words and `-E` shows them all",
        })
    }

    /// What of the filters can select nothing, one warning each.
    pub fn warnings(&self) -> impl Iterator<Item = RunEvent> {
        let unmatched = self.selected.unmatched.iter();
        unmatched.map(|unmatched| RunEvent::Notice {
            level: Level::Warning,
            text: unmatched.to_string(),
        })
    }
}

fn cannot_list(error: SectionError) -> Ended {
    let (code, error) = match error {
        SectionError::Descriptor { path, source } => (
            exit::VERSION_SKEW,
            CleanroomError::protocol_error(
                "a test binary was built with another version of clnrm than `cargo clnrm`'s",
            )
            .with_context("binary", path.display())
            .with_context("its test", format!("`{}`: {}", source.line, source.why))
            .with_hint(format!(
                "install the `cargo clnrm` of the version that Cargo.lock has of `clnrm`; this one is {}",
                env!("CARGO_PKG_VERSION")
            )),
        ),
        error => (
            exit::LIST_FAILED,
            CleanroomError::validation_error("cannot list the tests of a binary")
                .with_source(error),
        ),
    };
    Ended {
        code,
        error: Some(error),
    }
}

/// The filters of the command line.
///
/// # Errors
/// When an expression is malformed.
pub(super) fn filters(args: &Choice) -> Result<Selection, Ended> {
    let parse = |text: &String| {
        Filter::parse(text).map_err(|error| Ended {
            code: exit::BAD_FILTER,
            error: Some(CleanroomError::validation_error(error.to_string())),
        })
    };
    let filters = args
        .expressions
        .iter()
        .map(parse)
        .collect::<Result<_, _>>()?;
    Ok(Selection {
        words: args.filters.clone(),
        skip: args.skip.clone(),
        exact: args.exact,
        filters,
    })
}

/// Builds, looks into each binary, and selects. `tell` hears of the build.
///
/// # Errors
/// When the build fails, or a binary cannot be read.
pub async fn discover(
    args: &Choice,
    filter: &Selection,
    build: &Build,
    mut tell: impl FnMut(RunEvent),
) -> Result<Discovery, Ended> {
    let begun = Instant::now();
    let command = format!("cargo test --no-run {}", build.cargo_args().join(" "));
    tell(RunEvent::BuildStarted {
        command: command.trim_end().to_owned(),
    });
    let (send, mut receive) = mpsc::unbounded_channel();
    let building = async {
        let built = build.run(&send).await;
        drop(send);
        built
    };
    let mut binaries = Vec::new();
    let mut plain: Vec<TestBinary> = Vec::new();
    let mut crates = 0;
    let mut unreadable = None;
    let mut hear = |message| match message {
        BuildMessage::Compiled { name, .. } => {
            crates += 1;
            tell(RunEvent::BuildProgress {
                crates,
                current: name,
            });
        }
        BuildMessage::Diagnostic { text, severity } => {
            let level = match severity {
                Severity::Status => Level::Note,
                Severity::Warning => Level::Warning,
                Severity::Error => Level::Error,
            };
            tell(RunEvent::BuildMessage { level, text });
        }
        BuildMessage::Binary(binary) => match descriptors(&binary.path) {
            Ok(tests) if tests.is_empty() => plain.push(*binary),
            Ok(tests) => {
                tell(RunEvent::BinaryDiscovered {
                    package: binary.package.clone(),
                    binary_id: binary.id.clone(),
                    kind: binary.kind.as_str().to_owned(),
                    tests: tests.len(),
                });
                binaries.push(Discovered {
                    binary: *binary,
                    tests,
                });
            }
            Err(error) => {
                unreadable.get_or_insert(error);
            }
        },
    };
    let listening = async {
        while let Some(message) = receive.recv().await {
            hear(message);
        }
    };
    let (built, ()) = tokio::join!(building, listening);
    let built = built?;
    let success = built.success;
    tell(RunEvent::BuildFinished {
        success,
        elapsed: begun.elapsed(),
    });
    if !success {
        return Err(Ended {
            code: exit::BUILD_FAILED,
            error: None,
        });
    }
    if let Some(error) = unreadable {
        return Err(cannot_list(error));
    }
    let ours = binaries.iter_mut().map(|found| &mut found.binary);
    for binary in ours.chain(&mut plain) {
        binary.complete(&built);
    }
    binaries.sort_by(|a, b| a.binary.id.cmp(&b.binary.id));
    let selected = select(
        &binaries,
        filter,
        args.run_ignored,
        &graph(build.metadata()),
    );
    Ok(Discovery {
        binaries,
        plain,
        selected,
    })
}
