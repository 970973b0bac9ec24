//! `cargo test --no-run`, streamed: each test binary is given as soon as it exists.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use cargo_metadata::diagnostic::DiagnosticLevel;
use cargo_metadata::{Message, Metadata, TargetKind};
use clnrm_runtime::program::cargo;
use clnrm_runtime::{CleanroomError, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::TestBinary;
use crate::cli::{PlanArgs, Selection};

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
        /// Whether it is an error.
        error: bool,
    },
    /// A test binary exists.
    Binary(Box<TestBinary>),
}

/// A workspace, and what to build of it.
#[derive(Debug, Clone)]
pub struct Build {
    selection: Selection,
    metadata: Metadata,
    colored: bool,
}

impl Build {
    /// Asks cargo about the workspace; about what its packages depend on only
    /// where a filter asks for that, as the answer takes several times as long.
    ///
    /// # Errors
    /// When there is no workspace, or its manifests are malformed.
    pub fn new(args: &PlanArgs, colored: bool) -> Result<Self> {
        let selection = args.selection.clone();
        let mut command = cargo_metadata::MetadataCommand::new();
        command.cargo_path(cargo().get_program());
        // `deps(…)` and `rdeps(…)`.
        if !args.expressions.iter().any(|text| text.contains("deps(")) {
            command.no_deps();
        }
        if let Some(path) = &selection.manifest_path {
            command.manifest_path(path);
        }
        let mut options = Vec::new();
        options.extend(selection.locked.then(|| "--locked".to_owned()));
        options.extend(selection.frozen.then(|| "--frozen".to_owned()));
        let metadata = command.other_options(options).exec().map_err(|error| {
            let cannot = CleanroomError::validation_error("cargo cannot read the workspace");
            let cannot = match error {
                cargo_metadata::Error::CargoMetadata { stderr } => {
                    let said = stderr.trim();
                    cannot.with_context("cargo", said.strip_prefix("error: ").unwrap_or(said))
                }
                error => cannot.with_source(error),
            };
            cannot.with_hint("run it from inside a cargo workspace, or give `--manifest-path`")
        })?;
        Ok(Self {
            selection,
            metadata,
            colored,
        })
    }

    /// The workspace.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Builds, and sends what happens. Returns whether the build succeeded.
    ///
    /// # Errors
    /// When cargo cannot be run.
    pub async fn run(&self, messages: &mpsc::UnboundedSender<BuildMessage>) -> Result<bool> {
        let format = if self.colored {
            "json-diagnostic-rendered-ansi"
        } else {
            "json"
        };
        let mut command = Command::from(cargo());
        command
            .args(["test", "--no-run", "--message-format", format])
            .args(self.selection.to_cargo());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let cannot = |error| CleanroomError::internal_error("cannot run cargo").with_source(error);
        let mut child = command.spawn().map_err(cannot)?;
        let stderr = child.stderr.take();
        let progress = tokio::spawn(relay_errors(stderr, messages.clone()));
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            let mut bins = BTreeMap::new();
            let mut held = Vec::new();
            while let Some(line) = lines.next_line().await.map_err(cannot)? {
                self.message(&line, messages, &mut bins, &mut held);
            }
            for artifact in held {
                self.binary(&artifact, messages, &bins);
            }
        }
        let status = child.wait().await.map_err(cannot)?;
        // The task ends with the pipe; a panic of it loses text, not the result.
        let _ = progress.await;
        Ok(status.success())
    }

    fn message(
        &self,
        line: &str,
        messages: &mpsc::UnboundedSender<BuildMessage>,
        bins: &mut BTreeMap<(String, String), PathBuf>,
        held: &mut Vec<cargo_metadata::Artifact>,
    ) {
        let Ok(message) = serde_json::from_str::<Message>(line) else {
            return;
        };
        let said = match message {
            Message::CompilerArtifact(artifact) => {
                let name = artifact.target.name.clone();
                let fresh = artifact.fresh;
                if let Some(path) = self.executable(&artifact) {
                    bins.insert(path.0, path.1);
                }
                if artifact.profile.test {
                    // Its binaries may still be in the making: only all of them make its environment.
                    held.push(artifact);
                }
                BuildMessage::Compiled { name, fresh }
            }
            Message::CompilerMessage(message) => BuildMessage::Diagnostic {
                error: matches!(
                    message.message.level,
                    DiagnosticLevel::Error | DiagnosticLevel::Ice
                ),
                text: message.message.rendered.unwrap_or(message.message.message),
            },
            _ => return,
        };
        // Nobody listens only when the run is over.
        let _ = messages.send(said);
    }

    /// A program of the workspace, by package and name.
    fn executable(
        &self,
        artifact: &cargo_metadata::Artifact,
    ) -> Option<((String, String), PathBuf)> {
        if artifact.profile.test || !artifact.target.kind.contains(&TargetKind::Bin) {
            return None;
        }
        let package = self
            .metadata
            .packages
            .iter()
            .find(|package| package.id == artifact.package_id)?;
        let path = artifact.executable.clone()?.into_std_path_buf();
        Some((
            (package.name.to_string(), artifact.target.name.clone()),
            path,
        ))
    }

    fn binary(
        &self,
        artifact: &cargo_metadata::Artifact,
        messages: &mpsc::UnboundedSender<BuildMessage>,
        bins: &BTreeMap<(String, String), PathBuf>,
    ) {
        if let Some(binary) = TestBinary::of(artifact, &self.metadata, bins) {
            let _ = messages.send(BuildMessage::Binary(Box::new(binary)));
        }
    }
}

/// What cargo itself writes: an error of a manifest, a lock that is held.
async fn relay_errors(
    stderr: Option<tokio::process::ChildStderr>,
    messages: mpsc::UnboundedSender<BuildMessage>,
) {
    let Some(stderr) = stderr else { return };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        let error = text.trim_start().starts_with("error");
        let _ = messages.send(BuildMessage::Diagnostic {
            text: format!("{text}\n"),
            error,
        });
    }
}
