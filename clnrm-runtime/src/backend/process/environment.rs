//! What a process is started with: arguments and environment, rendered for this instance.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::SYSTEM_PATH;
use super::directory::Directory;
use crate::backend::{CreateRequest, Surroundings};
use crate::error::{CleanroomError, Result};
use crate::service::{ProcessSpec, Template};

/// The address that every process listens on.
pub(super) const HOST: &str = "127.0.0.1";

/// Everything that a template of the instance may name.
pub(super) fn surroundings(directory: &Directory, ports: &BTreeMap<String, u16>) -> Surroundings {
    Surroundings {
        host: HOST.to_owned(),
        ports: ports.clone(),
        data_dir: directory.data().to_string_lossy().into_owned(),
        seed_dir: String::new(),
    }
}

/// The arguments.
///
/// # Errors
/// When a template names what is not there.
pub(super) fn args(
    templates: &[Template],
    request: &CreateRequest,
    around: &Surroundings,
) -> Result<Vec<OsString>> {
    let render = |template: &Template| {
        let text = template.render(|hole| request.lookup(hole, around));
        text.map(OsString::from)
            .map_err(|error| unknown("an argument", request, error))
    };
    templates.iter().map(render).collect()
}

/// The environment: the little that every program may count on, then what the
/// spec says. Nothing of our own is inherited.
///
/// # Errors
/// When a template names what is not there.
pub(super) fn env(
    process: &ProcessSpec,
    program: &Path,
    request: &CreateRequest,
    directory: &Directory,
    around: &Surroundings,
) -> Result<BTreeMap<OsString, OsString>> {
    let mut env = base(program, directory.root(), &directory.temp());
    for (name, template) in request.spec.env.iter().chain(&process.env) {
        let value = template.render(|hole| request.lookup(hole, around));
        let value = value.map_err(|error| unknown(&format!("`{name}`"), request, error))?;
        env.insert(name.into(), value.into());
    }
    Ok(env)
}

/// What every program may count on.
pub(super) fn base(program: &Path, home: &Path, temp: &Path) -> BTreeMap<OsString, OsString> {
    let mut path = OsString::new();
    if let Some(dir) = program.parent() {
        path.push(dir);
        path.push(":");
    }
    path.push(SYSTEM_PATH);
    BTreeMap::from([
        ("PATH".into(), path),
        ("HOME".into(), home.into()),
        ("TMPDIR".into(), temp.into()),
        ("LANG".into(), "C.UTF-8".into()),
    ])
}

/// The program that a command means: a path, or a name in the `PATH` of `env`.
pub(super) fn resolve(
    command: &str,
    workdir: &Path,
    env: &BTreeMap<OsString, OsString>,
) -> Option<PathBuf> {
    if command.contains('/') {
        return Some(workdir.join(command));
    }
    let path = env.get(std::ffi::OsStr::new("PATH"))?;
    std::env::split_paths(path)
        .map(|dir| dir.join(command))
        .find(|file| file.is_file())
}

fn unknown(
    what: &str,
    request: &CreateRequest,
    error: crate::service::TemplateError,
) -> CleanroomError {
    CleanroomError::validation_error(format!("cannot render {what} of `{}`", request.service))
        .with_source(error)
}
