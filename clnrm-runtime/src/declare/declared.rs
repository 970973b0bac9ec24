//! The plugin behind `#[clnrm::service(image = …)]`, `bin`, `program` and the derive: a spec made of attributes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::DeclaredField;
use crate::error::{CleanroomError, Result};
use crate::plugin::ServicePlugin;
use crate::service::{
    ContainerSpec, NamedProgram, Port, ProcessSpec, Program, Spec, Template, Var, Volume, Wait,
};

/// What the attributes said, as they said it. The macros have checked that
/// texts parse; what they cannot see is checked here.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// The service's name.
    pub name: &'static str,
    /// The type; `generic` for a service that no plugin type stands for.
    pub service_type: &'static str,
    /// The image.
    pub image: Option<&'static str>,
    /// A binary of the workspace.
    pub bin: Option<DeclaredBin>,
    /// A program by name.
    pub program: Option<&'static str>,
    /// The program's arguments; the container's too when `command` is absent.
    pub args: Option<&'static [&'static str]>,
    /// The container's arguments.
    pub command: Option<&'static [&'static str]>,
    /// Ports by name; one alone is `main`.
    pub ports: &'static [(&'static str, u16)],
    /// Environment, as texts with holes.
    pub env: &'static [(&'static str, &'static str)],
    /// The fields of a derived plugin.
    pub fields: Vec<DeclaredField>,
    /// What makes it ready.
    pub ready: Option<Wait>,
    /// How long it may take to become ready.
    pub start_timeout: Option<Duration>,
    /// How long it may take to stop.
    pub stop_grace: Option<Duration>,
    /// Mounts, `host:path[:ro]`, a path alone being an anonymous volume.
    pub volumes: &'static [&'static str],
    /// The network's name within the run.
    pub network: Option<&'static str>,
    /// Names under which others find it, besides its own.
    pub aliases: &'static [&'static str],
    /// Further exports, as texts with holes.
    pub exports: &'static [(&'static str, &'static str)],
    /// `CARGO_MANIFEST_DIR` of the declaring crate.
    pub manifest_dir: &'static str,
}

/// A binary of the workspace, as the attribute saw it.
#[derive(Debug, Clone, Copy)]
pub struct DeclaredBin {
    /// The package: the declaring one unless the attribute says otherwise.
    pub package: &'static str,
    /// The target.
    pub name: &'static str,
    /// `option_env!("CARGO_BIN_EXE_…")`: present in the own package's integration tests.
    pub path: Option<&'static str>,
}

impl Declared {
    /// The spec.
    ///
    /// # Errors
    /// When an image reference, a template or a volume is malformed, or there
    /// is nothing to run.
    pub fn spec(&self) -> Result<Spec> {
        let mut spec = Spec {
            container: self.container()?,
            process: self.process()?,
            ..Spec::default()
        };
        if spec.container.is_none() && spec.process.is_none() {
            return Err(CleanroomError::validation_error(format!(
                "service `{}` says nothing to run",
                self.name
            ))
            .with_hint("add `image = \"…\"`, `bin = \"…\"` or `program = \"…\"`"));
        }
        spec.ports = self
            .ports
            .iter()
            .map(|(name, number)| ((*name).to_owned(), Port::tcp(*number)))
            .collect();
        for field in &self.fields {
            self.field(field, &mut spec)?;
        }
        for (name, text) in self.env {
            spec.env.insert((*name).to_owned(), self.template(text)?);
        }
        if self.bin.is_some() || self.program.is_some() {
            self.announce_ports(&mut spec.env)?;
        }
        spec.exports = self.exports()?;
        spec.wait = self.ready.clone().unwrap_or(match self.ports {
            [] => Wait::Running,
            _ => Wait::Tcp { port: None },
        });
        spec.start_timeout = self.start_timeout.unwrap_or(spec.start_timeout);
        spec.stop.grace = self.stop_grace.unwrap_or(spec.stop.grace);
        Ok(spec)
    }

    /// A variable for every field that has a value; the environment takes it
    /// from there, so that a secret stands in one place.
    fn field(&self, field: &DeclaredField, spec: &mut Spec) -> Result<()> {
        let Some(value) = field.text() else {
            return Ok(());
        };
        let var = if field.secret {
            Var::secret(value)
        } else {
            Var::plain(value)
        };
        spec.vars.insert(field.name.to_owned(), var);
        if let Some(env) = field.env {
            let text = self.template(&format!("{{{}}}", field.name))?;
            spec.env.insert(env.to_owned(), text);
        }
        Ok(())
    }

    fn container(&self) -> Result<Option<ContainerSpec>> {
        let Some(image) = self.image else {
            return Ok(None);
        };
        let mut container = ContainerSpec::new(image.parse()?);
        container.command = self
            .command
            .or(self.args)
            .map(|args| self.templates(args))
            .transpose()?;
        container.volumes = self
            .volumes
            .iter()
            .map(|text| self.volume(text))
            .collect::<Result<_>>()?;
        container.network.name = self.network.map(str::to_owned);
        container.network.aliases = self
            .aliases
            .iter()
            .map(|alias| (*alias).to_owned())
            .collect();
        Ok(Some(container))
    }

    fn process(&self) -> Result<Option<ProcessSpec>> {
        let program = match (self.bin, self.program) {
            (Some(bin), _) => Program::Bin {
                package: bin.package.to_owned(),
                name: bin.name.to_owned(),
                path: bin.path.map(PathBuf::from),
            },
            (None, Some(name)) => NamedProgram::new(name).into(),
            (None, None) => return Ok(None),
        };
        let mut process = ProcessSpec::new(program);
        process.args = self.templates(self.args.unwrap_or_default())?;
        Ok(Some(process))
    }

    /// `$PORT` for the main port, `$NAME_PORT` for each that has a name.
    fn announce_ports(&self, env: &mut BTreeMap<String, Template>) -> Result<()> {
        for (name, _) in self.ports {
            if self.ports.len() == 1 {
                env.entry("PORT".to_owned())
                    .or_insert(self.template("{port}")?);
            }
            if *name != crate::service::MAIN_PORT {
                let variable = format!("{}_PORT", name.to_uppercase().replace('-', "_"));
                env.entry(variable)
                    .or_insert(self.template(&format!("{{port.{name}}}"))?);
            }
        }
        Ok(())
    }

    fn exports(&self) -> Result<BTreeMap<String, Template>> {
        let mut exports = match (self.ports, &self.ready) {
            ([], _) => BTreeMap::new(),
            (_, Some(wait)) => wait.plain_exports()?,
            (_, None) => Wait::default().plain_exports()?,
        };
        for (name, text) in self.exports {
            exports.insert((*name).to_owned(), self.template(text)?);
        }
        Ok(exports)
    }

    fn templates(&self, texts: &[&str]) -> Result<Vec<Template>> {
        texts.iter().map(|text| self.template(text)).collect()
    }

    fn template(&self, text: &str) -> Result<Template> {
        text.parse()
            .map_err(|error: crate::service::TemplateError| {
                CleanroomError::validation_error(format!(
                    "malformed text in the declaration of `{}`",
                    self.name
                ))
                .with_source(error)
            })
    }

    fn volume(&self, text: &str) -> Result<Volume> {
        Volume::parse(text, self.manifest_dir.as_ref())
    }
}

/// A service of type `generic`, or of a derived plugin's, that is its spec and nothing more.
#[derive(Debug, Clone)]
pub(crate) struct SpecPlugin {
    name: &'static str,
    service_type: &'static str,
    spec: Spec,
}

impl SpecPlugin {
    pub(crate) fn new(declared: &Declared) -> Result<Self> {
        let service_type = if declared.service_type.is_empty() {
            "generic"
        } else {
            declared.service_type
        };
        Ok(Self {
            name: declared.name,
            service_type,
            spec: declared.spec()?,
        })
    }
}

impl ServicePlugin for SpecPlugin {
    fn name(&self) -> &str {
        self.name
    }

    fn service_type(&self) -> &str {
        self.service_type
    }

    fn spec(&self) -> Result<Option<Spec>> {
        Ok(Some(self.spec.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_a_field_stands_in_its_variable_alone() {
        let field = |name, env, secret, value: Option<&str>| {
            DeclaredField::new(name, env, secret, &value.map(str::to_owned)).unwrap()
        };
        let declared = Declared {
            name: "store",
            program: Some("store"),
            fields: vec![
                field("password", Some("STORE_PASSWORD"), true, Some("hunter2")),
                field("region", Some("STORE_REGION"), false, None),
            ],
            env: &[("STORE_LOG", "debug")],
            ..Declared::default()
        };
        let spec = declared.spec().unwrap();
        let env = spec
            .env
            .iter()
            .map(|(name, text)| format!("{name}={text}"))
            .collect::<Vec<_>>();
        assert_eq!(env, ["STORE_LOG=debug", "STORE_PASSWORD={password}"]);
        assert_eq!(spec.vars["password"], Var::secret("hunter2"));
        assert!(!format!("{spec:?}").contains("hunter2"), "{spec:?}");
    }
}
