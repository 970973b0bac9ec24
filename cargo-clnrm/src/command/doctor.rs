//! `cargo clnrm doctor`: what this machine has, what it lacks, and how to mend each.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::Output;

use anstyle::{AnsiColor, Style};
use clnrm_runtime::Result;
use clnrm_runtime::backend::docker;
use clnrm_runtime::backend::docker::images::{self, PullPolicy};
use clnrm_runtime::cache::Cache;
use clnrm_runtime::config::Config;
use clnrm_runtime::plan::{EngineProbe, ImageProbe, ProgramProbe};
use clnrm_runtime::program::{Finder, Programs};
use clnrm_runtime::provision::Provisioner;
use clnrm_runtime::run::{Run, stale_runs};
use clnrm_runtime::service::{ImageRef, NamedProgram};
use rustix::fs::{Access, access};
use serde::Serialize;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Yellow.on_default().bold();

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// Whether it is in order.
    pub good: bool,
    /// How it is.
    pub state: String,
    /// What would mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    fn new(what: impl Into<String>, state: std::result::Result<String, (String, String)>) -> Self {
        let what = what.into();
        match state {
            Ok(state) => Self {
                what,
                good: true,
                state,
                fix: None,
            },
            Err((state, fix)) => Self {
                what,
                good: false,
                state,
                fix: Some(fix),
            },
        }
    }
}

/// Looks at everything that a run may need. Nothing is downloaded.
///
/// # Errors
/// When there is no place for the managed cache.
pub async fn examine(config: &Config) -> Result<Vec<Finding>> {
    let mut findings = vec![cargo(), directory(), left_behind()];
    let (engine, backend) = docker::probe().await;
    findings.push(Finding::new("container engine", describe_engine(&engine)));
    if let Some(backend) = backend {
        let mapped = config
            .images
            .keys()
            .filter_map(|image| image.parse::<ImageRef>().ok())
            .collect::<Vec<_>>();
        let probes = images::probe(
            &backend,
            &mapped,
            &config.images,
            PullPolicy::Never,
            &|_| (),
        )
        .await;
        findings.extend(
            probes
                .into_iter()
                .map(|(image, probe)| describe_image(&image, &probe)),
        );
    }
    let cache = Cache::of_this_user()?;
    findings.push(Finding::new("managed cache", describe_cache(cache.root())));
    let programs = Programs {
        paths: config.programs.clone(),
        ..Programs::default()
    };
    let finder = Finder::new(programs, Provisioner::new(cache, true));
    for (name, well_known) in [
        ("postgres", "/usr/lib/postgresql/*/bin"),
        ("redis-server", "/usr/local/bin"),
    ] {
        let program = NamedProgram {
            well_known: vec![well_known.to_owned()],
            ..NamedProgram::new(name)
        };
        let found = finder.find(&program.into(), &|_| ()).await;
        findings.push(describe_program(name, found));
    }
    Ok(findings)
}

/// The findings for people.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding {
        what,
        good,
        state,
        fix,
    } in findings
    {
        let (style, mark) = if *good { (GOOD, "ok") } else { (BAD, "--") };
        let _ = writeln!(text, "{style}{mark}{style:#}  {what}: {state}");
        if let Some(fix) = fix {
            let _ = writeln!(text, "      fix: {fix}");
        }
    }
    text
}

fn cargo() -> Finding {
    let said = clnrm_runtime::program::cargo().arg("--version").output();
    Finding::new("cargo", describe_cargo(said))
}

fn describe_cargo(said: io::Result<Output>) -> std::result::Result<String, (String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match said {
        Ok(said) if said.status.success() => Ok(text(&said.stdout)),
        // As of rustup without a toolchain.
        Ok(said) => Err((
            format!("{}: {}", said.status, text(&said.stderr)),
            "mend what it says, or set `CARGO`".to_owned(),
        )),
        Err(error) => Err((error.to_string(), "install Rust, or set `CARGO`".to_owned())),
    }
}

fn directory() -> Finding {
    let made = Run::begin().and_then(|run| {
        run.end()
            .map(|()| "a run's directory can be made".to_owned())
    });
    let fix = "set `CLNRM_TMPDIR` to a directory that you may write".to_owned();
    Finding::new(
        "directories",
        made.map_err(|error| (error.message().to_owned(), fix)),
    )
}

fn left_behind() -> Finding {
    let state = match stale_runs() {
        Ok(runs) if runs.is_empty() => Ok("nothing of earlier runs is left".to_owned()),
        Ok(runs) => Err((
            format!("{} earlier runs left something", runs.len()),
            "run `cargo clnrm clean`".to_owned(),
        )),
        Err(error) => Err((
            error.message().to_owned(),
            "look at the permissions of the directory".to_owned(),
        )),
    };
    Finding::new("earlier runs", state)
}

fn describe_engine(engine: &EngineProbe) -> std::result::Result<String, (String, String)> {
    match engine {
        EngineProbe::Answers {
            version,
            local: true,
        } => Ok(version.clone()),
        EngineProbe::Answers {
            version,
            local: false,
        } => Err((
            format!("{version} answers, but not on this machine"),
            "processes are used; for containers use an engine of this machine".to_owned(),
        )),
        EngineProbe::Silent { reason } if reason.contains("Permission denied") => Err((
            reason.clone(),
            "processes are used; for containers make yourself a member of the group that owns the \
             socket (often `docker`: `sudo usermod -aG docker $USER`, then log in again)"
                .to_owned(),
        )),
        EngineProbe::Silent { reason } => Err((
            reason.clone(),
            "processes are used; for containers start Docker or Podman, or set `DOCKER_HOST`"
                .to_owned(),
        )),
        EngineProbe::NotAsked => Ok("not asked".to_owned()),
    }
}

/// Where the cache is, or that it cannot be made: the nearest directory that is there decides.
fn describe_cache(root: &Path) -> std::result::Result<String, (String, String)> {
    let there = root.ancestors().find(|dir| dir.exists());
    let usable = there
        .is_some_and(|dir| dir.is_dir() && access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok());
    if usable {
        return Ok(root.display().to_string());
    }
    Err((
        format!("`{}` cannot be made or written", root.display()),
        "set `CLNRM_CACHE_DIR` to a directory that you may write".to_owned(),
    ))
}

fn describe_image(image: &str, probe: &ImageProbe) -> Finding {
    let state = match probe {
        ImageProbe::Present { name, .. } => Ok(format!("`{name}` is local")),
        ImageProbe::Missing { name, .. } => Err((
            format!("`{name}` is not local"),
            format!("run `docker pull {name}`, or build it"),
        )),
    };
    Finding::new(format!("image {image}"), state)
}

fn describe_program(name: &str, probe: ProgramProbe) -> Finding {
    let state = match probe {
        ProgramProbe::Found {
            path, version, how, ..
        } => Ok(format!(
            "{} {} ({how})",
            path.display(),
            version.unwrap_or_default()
        )),
        ProgramProbe::Missing { tried, .. } => Err((
            format!("not found; tried {}", tried.join(", ")),
            "run `cargo clnrm fetch`, install it, or set it in `[programs]` of clnrm.toml"
                .to_owned(),
        )),
    };
    Finding::new(format!("program {name}"), state)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn a_cargo_that_starts_and_fails_is_none() {
        let said = |code| {
            describe_cargo(Ok(Output {
                status: ExitStatus::from_raw(code << 8),
                stdout: b"cargo 1.95.0\n".to_vec(),
                stderr: b"error: no toolchain\n".to_vec(),
            }))
        };
        assert_eq!(said(0).unwrap(), "cargo 1.95.0");
        assert_eq!(
            said(1).unwrap_err().0,
            "exit status: 1: error: no toolchain"
        );
    }

    #[test]
    fn a_socket_that_is_refused_is_no_engine_that_is_down() {
        let fix = |reason: &str| {
            let reason = reason.to_owned();
            describe_engine(&EngineProbe::Silent { reason })
                .unwrap_err()
                .1
        };
        let denied = fix("unix:///var/run/docker.sock: Permission denied (os error 13)");
        assert!(
            denied.contains("the group that owns the socket"),
            "{denied}"
        );
        assert!(fix("unix:///x: No such file").contains("start Docker"));
    }

    #[test]
    fn a_cache_that_cannot_be_made_is_not_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(describe_cache(&dir.path().join("a/b")).is_ok());
        let (_, fix) = describe_cache(&file.join("a")).unwrap_err();
        assert!(fix.contains("CLNRM_CACHE_DIR"), "{fix}");
    }
}
