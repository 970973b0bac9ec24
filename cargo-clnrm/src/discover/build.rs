//! `cargo test --no-run`, streamed: each test binary is given as soon as it exists.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use cargo_metadata::diagnostic::DiagnosticLevel;
use cargo_metadata::{Message, Metadata, MetadataCommand};
use clnrm_runtime::program::cargo;
use clnrm_runtime::{CleanroomError, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::{CargoConfig, Libraries, Programs, Scripts, TestBinary, library};
use crate::cli::{Choice, Selection};
use crate::filter;

/// What a build says while it goes on.
#[derive(Debug)]
pub enum BuildMessage {
    /// A crate was compiled, or found fresh.
    Compiled {
        /// The target's name.
        name: String,
        /// Whether nothing had to be done.
        fresh: bool,
    },
    /// The compiler said something; rendered, with colours if asked for.
    Diagnostic {
        /// The text.
        text: String,
        /// How bad it is.
        severity: Severity,
    },
    /// A test binary exists. It can be read; to be run it needs the
    /// rest of what is [`Built`], some of which may still be in the making.
    Binary(Box<TestBinary>),
}

/// How bad it is what cargo or the compiler says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// How far cargo is.
    Status,
    /// A warning, and whatever the compiler says that is no error.
    Warning,
    /// An error.
    Error,
}

impl Severity {
    /// That of a line of cargo's own, after one of `before`: the lines that explain follow the one that says it.
    fn of_line(line: &str, before: Self) -> Self {
        let line = anstream::adapter::strip_str(line).to_string();
        // A verb ends in the twelfth column: `   Compiling clnrm v2.0.0`.
        let verb = line.get(..12).map(str::trim_start).unwrap_or_default();
        let is_verb = verb.starts_with(char::is_uppercase)
            && verb.chars().all(char::is_alphabetic)
            && line.get(12..13) == Some(" ");
        match line.trim_start() {
            said if said.starts_with("error") => Self::Error,
            said if said.starts_with("warning") => Self::Warning,
            _ if is_verb => Self::Status,
            _ => before,
        }
    }
}

/// What a build has come to.
#[derive(Debug, Default)]
pub struct Built {
    /// Whether it succeeded.
    pub success: bool,
    /// The programs of the workspace that it made.
    pub programs: Programs,
    /// Where its dynamic libraries are.
    pub libraries: Libraries,
    /// What its build scripts give to tests.
    pub scripts: Scripts,
    /// What cargo's configuration gives to tests.
    pub config: CargoConfig,
    /// What the compiler has said.
    told: BTreeSet<String>,
}

/// A workspace, and what to build of it.
#[derive(Debug, Clone)]
pub struct Build {
    selection: Selection,
    offline: bool,
    metadata: Metadata,
    colored: bool,
}

impl Build {
    /// Asks cargo about the workspace; about what its packages depend on only
    /// where a filter asks for that, or one of them is to be tested, as the
    /// answer takes several times as long.
    ///
    /// # Errors
    /// When there is no workspace, or its manifests are malformed.
    pub fn new(args: &Choice, filter: &filter::Selection, colored: bool) -> Result<Self> {
        let selection = args.selection.clone();
        let command = metadata_command(args);
        let mut metadata = match filter.asks_for_dependencies() {
            true => read(&command)?,
            false => read(command.clone().no_deps())?,
        };
        if selection.package.iter().any(|it| is_strange(it, &metadata)) {
            metadata = read(&command)?;
        }
        Ok(Self {
            selection,
            offline: args.offline,
            metadata,
            colored,
        })
    }

    /// The workspace.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where cargo puts what it builds.
    #[must_use]
    pub fn target_dir(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// The selection, as `cargo test` takes it.
    #[must_use]
    pub fn cargo_args(&self) -> Vec<String> {
        let mut args = self.selection.to_cargo();
        args.extend(self.offline.then(|| "--offline".to_owned()));
        args
    }

    /// Builds, and sends what happens as it happens.
    ///
    /// # Errors
    /// When cargo cannot be run.
    pub async fn run(&self, messages: &mpsc::UnboundedSender<BuildMessage>) -> Result<Built> {
        let format = if self.colored {
            "json-diagnostic-rendered-ansi"
        } else {
            "json"
        };
        let mut command = Command::from(cargo());
        command
            .args(["test", "--no-run", "--message-format", format])
            .args(self.cargo_args());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let cannot = |error| CleanroomError::internal_error("cannot run cargo").with_source(error);
        let mut child = command.spawn().map_err(cannot)?;
        let stderr = child.stderr.take();
        let progress = tokio::spawn(relay_errors(stderr, messages.clone()));
        let compiler = tokio::spawn(library::of_the_compiler());
        let target = self.selection.target.clone();
        let config = tokio::task::spawn_blocking(move || CargoConfig::find(target.as_deref()));
        let mut built = Built::default();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Some(line) = lines.next_line().await.map_err(cannot)? {
                self.message(&line, messages, &mut built);
            }
        }
        let status = child.wait().await.map_err(cannot)?;
        // The task ends with the pipe; a panic of it loses text, not the result.
        let _ = progress.await;
        // Where it cannot be asked, the tests that need its libraries say so.
        if let Ok(Some(dir)) = compiler.await {
            built.libraries.add_compiler(dir);
        }
        built.config = config.await.map_err(|error| {
            CleanroomError::internal_error("cargo's configuration got lost").with_source(error)
        })?;
        for note in &built.config.notes {
            let _ = messages.send(BuildMessage::Diagnostic {
                text: format!("warning: {note}\n"),
                severity: Severity::Warning,
            });
        }
        built.success = status.success();
        Ok(built)
    }

    fn message(
        &self,
        line: &str,
        messages: &mpsc::UnboundedSender<BuildMessage>,
        built: &mut Built,
    ) {
        let Ok(message) = serde_json::from_str::<Message>(line) else {
            return;
        };
        // Nobody listens only when the run is over.
        let tell = |said| drop(messages.send(said));
        match message {
            Message::CompilerArtifact(artifact) => {
                built.programs.add(&artifact, &self.metadata);
                let binary = TestBinary::of(&artifact, &self.metadata);
                tell(BuildMessage::Compiled {
                    name: artifact.target.name,
                    fresh: artifact.fresh,
                });
                if let Some(binary) = binary {
                    tell(BuildMessage::Binary(Box::new(binary)));
                }
            }
            Message::BuildScriptExecuted(script) => {
                built.libraries.add_script(&script, self.target_dir());
                built.scripts.add(&script);
            }
            Message::CompilerMessage(message) => {
                let message = message.message;
                let severity = match message.level {
                    DiagnosticLevel::Error | DiagnosticLevel::Ice => Severity::Error,
                    _ => Severity::Warning,
                };
                let text = message.rendered.unwrap_or(message.message);
                // A library is compiled twice, without its tests and with them.
                if built.told.insert(text.clone()) {
                    tell(BuildMessage::Diagnostic { text, severity });
                }
            }
            _ => {}
        }
    }
}

/// What asks cargo about the workspace and all that it depends on.
fn metadata_command(args: &Choice) -> MetadataCommand {
    let selection = &args.selection;
    let mut command = MetadataCommand::new();
    command.cargo_path(cargo().get_program());
    if let Some(path) = &selection.manifest_path {
        command.manifest_path(path);
    }
    // It has no flag for it, and reads the variable as the flag is read.
    if let Some(dir) = &selection.target_dir {
        command.env("CARGO_TARGET_DIR", dir);
    }
    let mut options = Vec::new();
    options.extend(selection.locked.then(|| "--locked".to_owned()));
    options.extend(selection.frozen.then(|| "--frozen".to_owned()));
    options.extend(args.offline.then(|| "--offline".to_owned()));
    command.other_options(options);
    command
}

fn read(command: &MetadataCommand) -> Result<Metadata> {
    command.exec().map_err(|error| {
        let cannot = CleanroomError::validation_error("cargo cannot read the workspace");
        match error {
            cargo_metadata::Error::CargoMetadata { stderr } => {
                let said = stderr.trim();
                cannot
                    .with_context("cargo", said.strip_prefix("error: ").unwrap_or(said))
                    .with_hint(what_helps(said))
            }
            error => cannot.with_source(error),
        }
    })
}

/// Whether `-p` may mean a package that `metadata` does not have: `cargo test`
/// takes dependencies too, by their names. A pattern means members alone.
fn is_strange(spec: &str, metadata: &Metadata) -> bool {
    let mut packages = metadata.packages.iter();
    !spec.contains(['*', '?', '[']) && !packages.any(|package| *package.name == spec)
}

/// What cargo itself writes: an error of a manifest, a lock that is held.
async fn relay_errors(
    stderr: Option<tokio::process::ChildStderr>,
    messages: mpsc::UnboundedSender<BuildMessage>,
) {
    let Some(stderr) = stderr else { return };
    let mut lines = BufReader::new(stderr).lines();
    let mut severity = Severity::Status;
    while let Ok(Some(text)) = lines.next_line().await {
        severity = Severity::of_line(&text, severity);
        let _ = messages.send(BuildMessage::Diagnostic {
            text: format!("{text}\n"),
            severity,
        });
    }
}

/// What helps when cargo cannot read a workspace: its own words say which manifest
/// is wrong, where it found one.
fn what_helps(said: &str) -> &'static str {
    if said.contains("could not find `Cargo.toml`") || said.contains("manifest path `") {
        "run it from inside a cargo workspace, or give `--manifest-path`"
    } else {
        "mend what cargo names; `cargo metadata --no-deps` says whether it can read the workspace"
    }
}

#[cfg(test)]
mod tests;
