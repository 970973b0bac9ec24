//! Finds the program of a process: configured, installed, in the cache, provisioned, or built by cargo.
//!
//! It answers for the plan and decides no backend. What it found is asked for
//! its version, so that a program which cannot be executed is not found.

mod bin;
mod cargo;
mod place;
mod version;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use cargo::cargo;
pub use version::Version;

use crate::plan::ProgramProbe;
use crate::provision::{Listener, Provisioner};
use crate::service::{NamedProgram, Program, Provision};
use place::Place;
use version::Memory;

/// What the user said of programs.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// Where a server's program lies, or the directory that it is in, by its name.
    pub paths: BTreeMap<String, PathBuf>,
    /// Binaries of the workspace that cargo has built, by package and name.
    pub bins: BTreeMap<(String, String), PathBuf>,
}

/// Finds programs. One for a run: it remembers what it built.
#[derive(Debug)]
pub struct Finder {
    programs: Programs,
    provisioner: Provisioner,
    path: Option<OsString>,
    built: bin::Built,
    memory: Memory,
}

impl Finder {
    /// Looks where `programs` say, then in `PATH` and so on.
    #[must_use]
    pub fn new(programs: Programs, provisioner: Provisioner) -> Self {
        Self {
            memory: Memory::new(provisioner.cache()),
            programs,
            provisioner,
            path: std::env::var_os("PATH"),
            built: bin::Built::default(),
        }
    }

    /// Finds one program; `listener` hears of a download.
    pub async fn find(&self, program: &Program, listener: Listener<'_>) -> ProgramProbe {
        match program {
            Program::Bin {
                package,
                name,
                path,
            } => {
                let known = self.programs.bins.get(&(package.clone(), name.clone()));
                let known = [path.as_deref(), known.map(PathBuf::as_path)];
                bin::find(package, name, known, &self.built).await
            }
            Program::Named(program) => self.named(program, listener).await,
        }
    }

    async fn named(&self, program: &NamedProgram, listener: Listener<'_>) -> ProgramProbe {
        let NamedProgram {
            name,
            well_known,
            version,
            require_version,
            provision,
        } = program;
        let mut search = Search {
            name,
            wanted: version.as_deref().and_then(Version::parse),
            required: *require_version,
            second: None,
            tried: Vec::new(),
            memory: &self.memory,
        };
        if let Some(configured) = self.programs.paths.get(name) {
            let place = Place::configured(configured, name);
            return match search.ask(&place).await {
                Some(found) => found,
                None => search.give_up(Some(format!(
                    "`{}` is configured as `{name}`: correct that, or leave it out",
                    configured.display()
                ))),
            };
        }
        let installed = place::in_path(name, self.path.as_deref())
            .into_iter()
            .chain(place::well_known(name, well_known));
        for place in installed {
            if let Some(found) = search.ask(&place).await {
                return found;
            }
        }
        let mut hint = None;
        if let Some(provision) = provision {
            match self.provisioned(name, provision, &search, listener).await {
                Ok(Some(place)) => {
                    if let Some(found) = search.ask(&place).await {
                        return found;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    hint = error.hint().map(str::to_owned);
                    search
                        .tried
                        .push(format!("provision: {}", one_line(&error)));
                }
            }
        }
        search.give_up(hint)
    }

    /// The program in the cache, downloaded where nothing else will do: another
    /// version that is installed is taken rather than a download.
    async fn provisioned(
        &self,
        name: &str,
        provision: &Provision,
        search: &Search<'_>,
        listener: Listener<'_>,
    ) -> crate::Result<Option<Place>> {
        if let Some((contained, wanted)) = search.is_of_another(provision) {
            let Provision {
                package, version, ..
            } = provision;
            let message = format!("`{package}` {version} has version {contained}, not {wanted}");
            return Err(crate::CleanroomError::plan_error(message));
        }
        let cached = self.provisioner.installed(provision).await?;
        if let Some(dir) = cached {
            return Ok(Some(Place::new(dir.join(name), "cache")));
        }
        if search.second.is_some() {
            return Ok(None);
        }
        let dir = self.provisioner.fetch(provision, listener).await?;
        Ok(Some(Place::new(dir.join(name), "provisioned")))
    }
}

/// One search for a server's program.
#[derive(Debug)]
struct Search<'a> {
    name: &'a str,
    /// The version that the declaration prefers.
    wanted: Option<Version>,
    required: bool,
    /// The newest that works but is of another major version.
    second: Option<(Version, PathBuf, &'static str)>,
    tried: Vec<String>,
    memory: &'a Memory,
}

impl Search<'_> {
    /// The version that a package is known to have, and the required one, where
    /// they differ: it would be downloaded for nothing.
    fn is_of_another(&self, provision: &Provision) -> Option<(Version, &Version)> {
        let contained = Version::parse(provision.contains.as_deref()?)?;
        let wanted = self.wanted.as_ref().filter(|_| self.required)?;
        (!wanted.same_major(&contained)).then_some((contained, wanted))
    }

    /// Looks at one place: found, if it works and its version is the preferred one.
    async fn ask(&mut self, place: &Place) -> Option<ProgramProbe> {
        let shown = place.path.display();
        let version = match self.memory.ask(&place.path, self.wanted.is_some()).await {
            Ok(version) => version,
            Err(reason) => {
                self.tried
                    .push(format!("{}: `{shown}` {reason}", place.how));
                return None;
            }
        };
        let fits = match (&self.wanted, &version) {
            (Some(wanted), Some(version)) => wanted.same_major(version),
            // What does not say its version can only be taken at its name.
            (Some(_), None) => !self.required,
            (None, _) => true,
        };
        let configured = place.how == place::CONFIGURED;
        if fits || configured && !self.required {
            let note = match (&self.wanted, &version) {
                (Some(wanted), Some(version)) if !fits => Some(format!(
                    "`{}` is version {version}, not {wanted}, as configured",
                    self.name
                )),
                _ => None,
            };
            return Some(found(&place.path, version.as_ref(), place.how, note));
        }
        match version {
            Some(version) if !self.required => {
                let newer = |(best, ..): &(Version, _, _)| version > *best;
                if self.second.as_ref().is_none_or(newer) {
                    self.second = Some((version, place.path.clone(), place.how));
                }
            }
            version => {
                let version = version.map_or_else(|| "unknown".to_owned(), |v| v.to_string());
                let wanted = self.wanted.as_ref().map(Version::to_string);
                self.tried.push(format!(
                    "{}: `{shown}` is version {version}, not {}",
                    place.how,
                    wanted.unwrap_or_default()
                ));
            }
        }
        None
    }

    fn give_up(self, hint: Option<String>) -> ProgramProbe {
        if let Some((version, path, how)) = &self.second {
            let note = self.wanted.as_ref().map(|wanted| {
                format!(
                    "`{}` is version {version}, not {wanted}: the newest that is here",
                    self.name
                )
            });
            return found(path, Some(version), how, note);
        }
        let hint =
            hint.unwrap_or_else(|| format!("install `{}`, or configure where it lies", self.name));
        missing(self.tried, hint)
    }
}

fn found(path: &Path, version: Option<&Version>, how: &str, note: Option<String>) -> ProgramProbe {
    ProgramProbe::Found {
        path: path.to_owned(),
        version: version.map(Version::to_string),
        how: how.to_owned(),
        note,
    }
}

fn missing(tried: Vec<String>, hint: String) -> ProgramProbe {
    ProgramProbe::Missing { tried, hint }
}

/// An error without its hint, on one line.
fn one_line(error: &crate::CleanroomError) -> String {
    match error.cause() {
        Some(cause) => format!("{}: {cause}", error.message()),
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests;
