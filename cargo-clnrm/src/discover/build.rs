//! `cargo test --no-run`, streamed: each test binary is given as soon as it exists.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use cargo_metadata::diagnostic::DiagnosticLevel;
use cargo_metadata::{Message, Metadata};
use clnrm_runtime::program::cargo;
use clnrm_runtime::{CleanroomError, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::{Libraries, Programs, TestBinary, library};
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
    /// A test binary exists. It can be read; to be run it needs the
    /// rest of what is [`Built`], some of which may still be in the making.
    Binary(Box<TestBinary>),
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
    /// What the compiler has said.
    told: BTreeSet<String>,
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

    /// Where cargo puts what it builds.
    #[must_use]
    pub fn target_dir(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
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
        let compiler = tokio::spawn(library::of_the_compiler());
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
            built.libraries.add(dir);
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
            }
            Message::CompilerMessage(message) => {
                let message = message.message;
                let error = matches!(message.level, DiagnosticLevel::Error | DiagnosticLevel::Ice);
                let text = message.rendered.unwrap_or(message.message);
                // A library is compiled twice, without its tests and with them.
                if built.told.insert(text.clone()) {
                    tell(BuildMessage::Diagnostic { text, error });
                }
            }
            _ => {}
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

#[cfg(test)]
mod tests {
    use cargo_metadata::MetadataCommand;
    use serde_json::{Value, json};

    use super::*;

    fn target(kind: &str, name: &str) -> Value {
        json!({
            "kind": [kind], "crate_types": ["bin"], "name": name, "src_path": "/w/a/it.rs",
            "edition": "2024", "doc": false, "doctest": false, "test": true,
        })
    }

    fn artifact(package: &str, kind: &str, name: &str, test: bool) -> String {
        json!({
            "reason": "compiler-artifact",
            "package_id": package,
            "manifest_path": format!("/w/{package}/Cargo.toml"),
            "target": target(kind, name),
            "profile": {
                "opt_level": "0", "debuginfo": 2, "debug_assertions": true,
                "overflow_checks": true, "test": test,
            },
            "features": [],
            "filenames": [],
            "executable": format!("/w/target/{name}"),
            "fresh": false,
        })
        .to_string()
    }

    fn build() -> Build {
        let packages = ["a", "b"].map(|name| {
            json!({
                "name": name, "version": "0.1.0", "id": name, "dependencies": [], "targets": [],
                "features": {}, "manifest_path": format!("/w/{name}/Cargo.toml"),
            })
        });
        let metadata = json!({
            "packages": packages, "workspace_members": ["a", "b"], "resolve": null,
            "workspace_default_members": ["a", "b"], "target_directory": "/w/target",
            "version": 1, "workspace_root": "/w", "metadata": null,
        });
        Build {
            selection: Selection::default(),
            metadata: MetadataCommand::parse(metadata.to_string()).unwrap(),
            colored: false,
        }
    }

    #[test]
    fn a_binary_is_told_at_once_and_gets_the_programs_at_the_end() {
        let build = build();
        let (send, mut receive) = mpsc::unbounded_channel();
        let mut built = Built::default();
        build.message(&artifact("a", "test", "it", true), &send, &mut built);
        assert!(matches!(
            receive.try_recv().unwrap(),
            BuildMessage::Compiled { .. }
        ));
        let BuildMessage::Binary(mut binary) = receive.try_recv().unwrap() else {
            panic!("no binary");
        };
        for (package, name) in [("a", "own"), ("b", "other")] {
            build.message(&artifact(package, "bin", name, false), &send, &mut built);
            // The unit tests of a program are no program.
            build.message(&artifact(package, "bin", name, true), &send, &mut built);
        }
        assert_eq!(binary.id, "a::it");
        assert_eq!(binary.env.get("CARGO_BIN_EXE_own"), None);
        binary.complete(&built);
        let path = |variable: &str| binary.env.get(variable).map(String::as_str);
        assert_eq!(path("CARGO_BIN_EXE_own"), Some("/w/target/own"));
        assert_eq!(path("CARGO_BIN_EXE_other"), None);
        let of_other = clnrm_runtime::config::bin_variable("b", "other");
        assert_eq!(path(&of_other), Some("/w/target/other"));
    }
}
