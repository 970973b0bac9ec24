//! How the service runs, with everything that is malformed in its configuration.

use std::collections::{BTreeMap, BTreeSet};

use clnrm_runtime::plugin::Mistakes;
use clnrm_runtime::service::{
    Port, PortProtocol, ProcessSpec, Program, Spec, Template, TemplateError, Var, Wait,
};
use clnrm_runtime::{CleanroomError, Result, ServicePlugin};

use crate::config::GenericPlugin;
use crate::value;

/// The name of the first port that has none.
const MAIN: &str = "main";

impl GenericPlugin {
    pub(crate) fn to_spec(&self) -> Result<Spec> {
        let mut mistakes = Mistakes::default();
        mistakes.check_name(self.name());
        mistakes.refuse_if(
            self.image.is_none() && self.program.is_none(),
            "there is nothing to run",
            "start from `plugin(\"image:tag\")` or `program(\"name\")`",
        );
        let ports = self.ports(&mut mistakes);
        let wait = self.wait(&ports);
        mistakes.refuse_if(
            wait.asks_plugin(),
            "a service of any kind has no protocol to be ready in",
            "use `Wait::http(\"/healthz\")`, `Wait::log(\"…\")` or another one",
        );
        let spec = Spec {
            container: self.container(&mut mistakes),
            process: self.process(&mut mistakes),
            env: self.environment(&mut mistakes),
            vars: self.variables(),
            exports: self.exports(&wait, &mut mistakes),
            ports,
            wait,
            start_timeout: self.start_timeout.unwrap_or(Wait::TIMEOUT),
            ..Spec::default()
        };
        // A port that is malformed is one mistake, not one more for each use of it.
        if spec.ports.len() == self.ports.len() {
            mistakes.check_spec(&spec);
        }
        mistakes.into_result(self.name())?;
        Ok(spec)
    }

    fn ports(&self, mistakes: &mut Mistakes) -> BTreeMap<String, Port> {
        let mut ports = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let mut inside = BTreeSet::new();
        for text in &self.ports {
            let Some((name, port)) = mistakes.check(value::port(text)) else {
                continue;
            };
            let name = match name {
                Some(name) => name.to_owned(),
                None if ports.contains_key(MAIN) => port.number.to_string(),
                None => MAIN.to_owned(),
            };
            let is_new = inside.insert((port.number, port.protocol))
                && port
                    .host
                    .is_none_or(|host| taken.insert((host, port.protocol)));
            mistakes.refuse_if(
                !is_new || ports.insert(name, port).is_some(),
                format!("port `{text}` is there twice"),
                "give each port of the service one line, and a name and a host port of its own",
            );
        }
        ports
    }

    fn process(&self, mistakes: &mut Mistakes) -> Option<ProcessSpec> {
        let name = self.program.clone()?;
        mistakes.refuse_if(
            name.is_empty() || name.contains(['/', '\0']),
            format!("`{name}` is no name of a program"),
            "name it as in `PATH`; `clnrm.toml` says where it is if it is not there",
        );
        let mut process = ProcessSpec::new(Program::Named {
            name,
            well_known: Vec::new(),
            version: None,
            require_version: false,
            provision: None,
        });
        process.args = templates("argument", &self.args, mistakes);
        if !self.ports.is_empty() {
            let port = template("variable `PORT`", "{port}", mistakes);
            let port = port.map(|port| ("PORT".to_owned(), port));
            process.env.extend(port);
        }
        Some(process)
    }

    fn environment(&self, mistakes: &mut Mistakes) -> BTreeMap<String, Template> {
        let mut env = BTreeMap::new();
        for (name, text) in &self.env {
            mistakes.check_variable(name);
            let text = template(&format!("variable `{name}`"), text, mistakes);
            env.extend(text.map(|text| (name.clone(), text)));
        }
        for name in self.secrets.keys() {
            let is_good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            mistakes.refuse_if(
                name.is_empty() || !name.bytes().all(is_good) || self.env.contains_key(name),
                format!("`{name}` is no name of a secret"),
                "use letters, digits and `_`, and no name that `.env(..)` has",
            );
            let hole = format!("{{{}}}", name.to_lowercase());
            env.extend(hole.parse().map(|hole| (name.clone(), hole)));
        }
        env
    }

    fn variables(&self) -> BTreeMap<String, Var> {
        let secrets = self.secrets.iter();
        secrets
            .map(|(name, secret)| (name.to_lowercase(), secret.into()))
            .collect()
    }

    fn wait(&self, ports: &BTreeMap<String, Port>) -> Wait {
        if let Some(wait) = &self.ready {
            return wait.clone();
        }
        // A process has no health check of an image.
        if self.healthcheck.is_some() && self.program.is_none() {
            return Wait::Healthcheck;
        }
        let main_first = ports.get_key_value(MAIN).into_iter().chain(ports);
        let mut tcp = main_first.filter(|(_, port)| port.protocol == PortProtocol::Tcp);
        tcp.next().map_or(Wait::Running, |(name, _)| Wait::Tcp {
            port: Some(name.clone()),
        })
    }

    fn exports(&self, wait: &Wait, mistakes: &mut Mistakes) -> BTreeMap<String, Template> {
        let scheme = if asks_http(wait) { "http" } else { "tcp" };
        let url = format!("{scheme}://{{host}}:{{port}}");
        let defaults = [
            ("host", "{host}"),
            ("port", "{port}"),
            ("url", url.as_str()),
        ];
        let defaults = defaults.into_iter().filter(|_| !self.ports.is_empty());
        let own = self.exports.iter();
        let own = own.map(|(name, text)| (name.as_str(), text.as_str()));
        let texts: BTreeMap<_, _> = defaults.chain(own).collect();
        let parse = |(name, text): (&str, &str)| {
            let text = template(&format!("export `{name}`"), text, mistakes)?;
            Some((name.to_owned(), text))
        };
        texts.into_iter().filter_map(parse).collect()
    }
}

fn asks_http(wait: &Wait) -> bool {
    match wait {
        Wait::Http { .. } => true,
        Wait::All(parts) | Wait::Any(parts) => parts.iter().any(asks_http),
        _ => false,
    }
}

/// Parses what parses, and keeps the mistakes of the rest.
pub(crate) fn templates(what: &str, texts: &[String], mistakes: &mut Mistakes) -> Vec<Template> {
    texts
        .iter()
        .filter_map(|text| template(what, text, mistakes))
        .collect()
}

fn template(what: &str, text: &str, mistakes: &mut Mistakes) -> Option<Template> {
    let template = text.parse().map_err(|error: TemplateError| {
        CleanroomError::validation_error(format!("{what} is malformed: {error}"))
    });
    mistakes.check(template)
}
