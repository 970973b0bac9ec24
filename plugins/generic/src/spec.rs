//! How the service runs, with everything that is malformed in its configuration.

use std::collections::{BTreeMap, BTreeSet};

use clnrm_runtime::plugin::Mistakes;
use clnrm_runtime::service::{
    NamedProgram, Port, PortProtocol, ProcessSpec, Spec, Template, Var, Wait,
};
use clnrm_runtime::{Result, ServicePlugin};

use crate::config::GenericPlugin;

/// What a template's hole says of every service.
const RESERVED: [&str; 5] = ["name", "host", "port", "data_dir", "seed_dir"];

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
        } else if let Some(container) = &spec.container {
            mistakes.check_container(container);
        }
        mistakes.into_result(self.name())?;
        Ok(spec)
    }

    fn ports(&self, mistakes: &mut Mistakes) -> BTreeMap<String, Port> {
        let mut ports = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let mut inside = BTreeSet::new();
        for text in &self.ports {
            let Some((name, port)) = mistakes.check(Port::parse(text)) else {
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
        let mut process = ProcessSpec::new(NamedProgram::new(name));
        process.args = mistakes.check_templates("argument", &self.args);
        if !self.ports.is_empty() {
            let port = mistakes.check_template("variable `PORT`", "{port}");
            process
                .env
                .extend(port.map(|port| ("PORT".to_owned(), port)));
        }
        Some(process)
    }

    fn environment(&self, mistakes: &mut Mistakes) -> BTreeMap<String, Template> {
        let mut env = BTreeMap::new();
        for (name, text) in &self.env {
            mistakes.check_variable(name);
            let text = mistakes.check_template(&format!("variable `{name}`"), text);
            env.extend(text.map(|text| (name.clone(), text)));
        }
        let mut holes = BTreeSet::from(RESERVED.map(str::to_owned));
        for name in self.secrets.keys() {
            let is_good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            mistakes.refuse_if(
                name.is_empty() || !name.bytes().all(is_good) || self.env.contains_key(name),
                format!("`{name}` is no name of a secret"),
                "use letters, digits and `_`, and no name that `.env(..)` has",
            );
            mistakes.refuse_if(
                !holes.insert(name.to_lowercase()),
                format!("`{{{}}}` would be more than the secret `{name}`", name.to_lowercase()),
                "exports name it in lower case: give it another name, or use `.env(..)`, which hides nothing",
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
        let mut exports = match self.ports[..] {
            [] => BTreeMap::new(),
            _ => mistakes.check(wait.plain_exports()).unwrap_or_default(),
        };
        for (name, text) in &self.exports {
            let text = mistakes.check_template(&format!("export `{name}`"), text);
            exports.extend(text.map(|text| (name.clone(), text)));
        }
        exports
    }
}
