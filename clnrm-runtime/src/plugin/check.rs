//! What can be said of a spec before anything starts: that it waits for what is there, and exports what it has.

use regex::Regex;

use super::Mistakes;
use crate::service::{ContainerSpec, Healthcheck, MAIN_PORT, Spec, Template, Volume, Wait};

/// What an engine needs for a container at the least.
const LEAST_MEMORY: u64 = 6 << 20;

impl Mistakes {
    /// Checks that a spec is consistent: the ports and patterns that it waits
    /// for, what its exports name, its deadline, and what its container is given.
    pub fn check_spec(&mut self, spec: &Spec) {
        self.check_wait(&spec.wait, spec);
        for (name, text) in &spec.exports {
            self.check_export(name, text, spec);
        }
        if let Some(container) = &spec.container {
            self.check_container(container);
        }
        self.refuse_if(
            spec.start_timeout.is_zero(),
            "the start timeout is zero",
            "leave it out for a minute",
        );
    }

    fn check_wait(&mut self, wait: &Wait, spec: &Spec) {
        match wait {
            Wait::Http { port, body, .. } => {
                self.check_port(port.as_deref(), spec);
                self.check_pattern(body.as_deref());
            }
            Wait::Tcp { port } => self.check_port(port.as_deref(), spec),
            Wait::Log { pattern, count, .. } => {
                self.check_pattern(Some(pattern));
                self.refuse_if(
                    *count == 0,
                    format!("it is ready when `{pattern}` is logged no times"),
                    "count from 1",
                );
            }
            Wait::Exec { command } => self.refuse_if(
                command.is_empty(),
                "it is ready when no command succeeds",
                "name a program and its arguments",
            ),
            Wait::All(parts) | Wait::Any(parts) => {
                self.refuse_if(
                    parts.is_empty(),
                    "it is ready when nothing of nothing is",
                    "name what it waits for",
                );
                parts.iter().for_each(|part| self.check_wait(part, spec));
            }
            Wait::Running | Wait::Healthcheck | Wait::Plugin => {}
        }
    }

    fn check_port(&mut self, port: Option<&str>, spec: &Spec) {
        let is_there = match port {
            Some(port) => spec.ports.contains_key(port),
            None => !spec.ports.is_empty(),
        };
        self.refuse_if(
            !is_there,
            format!(
                "it waits for port `{}`, which it does not have",
                port.unwrap_or(MAIN_PORT)
            ),
            listed("its ports are", spec.ports.keys().map(String::as_str)),
        );
    }

    fn check_pattern(&mut self, pattern: Option<&str>) {
        let broken = pattern.is_some_and(|pattern| Regex::new(pattern).is_err());
        self.refuse_if(
            broken,
            format!("`{}` is no regular expression", pattern.unwrap_or_default()),
            "write a `\\` before a character that means itself",
        );
    }

    fn check_export(&mut self, name: &str, text: &Template, spec: &Spec) {
        for hole in text.holes() {
            let is_known = match hole.split_once('.') {
                Some(("host" | "port", port)) if spec.ports.contains_key(port) => true,
                None if matches!(hole, "host" | "port") => !spec.ports.is_empty(),
                _ => hole == "name" || spec.vars.contains_key(hole),
            };
            let own = ["name"].into_iter();
            let own = own.chain(
                ["host", "port"]
                    .into_iter()
                    .filter(|_| !spec.ports.is_empty()),
            );
            self.refuse_if(
                !is_known,
                format!("export `{name}` names `{hole}`, which the service does not have"),
                listed("it has", own.chain(spec.vars.keys().map(String::as_str))),
            );
        }
    }
}

impl Mistakes {
    /// The part of [`check_spec`](Self::check_spec) that is the container's.
    pub fn check_container(&mut self, container: &ContainerSpec) {
        for volume in &container.volumes {
            if let Volume::Tmpfs { path } = volume {
                self.check_inside("tmpfs", path);
            }
        }
        if let Some(path) = &container.workdir {
            self.check_inside("working directory", path);
        }
        if let Some(check) = &container.healthcheck {
            self.check_health(check);
        }
        let network = &container.network;
        for name in network.name.iter().chain(&network.aliases) {
            self.check_name(name);
        }
        let limits = container.limits;
        self.refuse_if(
            limits.memory.is_some_and(|bytes| bytes < LEAST_MEMORY),
            "the limit of memory is below what a container needs",
            "allow `6m` or more",
        );
        self.refuse_if(
            limits.pids == Some(0),
            "a container with `0` processes cannot run",
            "leave the limit out, or allow what the service needs",
        );
    }

    fn check_health(&mut self, check: &Healthcheck) {
        self.refuse_if(
            check.command.first().is_none_or(String::is_empty),
            "the health check has no command",
            "name a program of the image and its arguments",
        );
        self.refuse_if(
            check.interval.is_zero() || check.timeout.is_zero() || check.retries == 0,
            "the health check has an interval, a timeout or a count of zero",
            "leave half a second between two checks, a second for one, and three failures",
        );
    }

    fn check_inside(&mut self, what: &str, path: &str) {
        self.refuse_if(
            !path.starts_with('/'),
            format!("the {what} `{path}` is not absolute"),
            "write the path inside the container, from `/` on",
        );
    }
}

fn listed<'a>(before: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return "give it a port".to_owned();
    }
    format!("{before} {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Port, Var};

    #[track_caller]
    fn check(spec: &Spec, report: &str) {
        let mut mistakes = Mistakes::default();
        mistakes.check_spec(spec);
        let found = mistakes.into_result("x").err();
        assert_eq!(
            found.map(|error| error.to_string()).unwrap_or_default(),
            report
        );
    }

    fn spec(wait: Wait, export: &str) -> Spec {
        let mut spec = Spec {
            wait,
            ..Spec::default()
        };
        spec.ports.insert("api".to_owned(), Port::tcp(80));
        spec.vars.insert("user".to_owned(), Var::plain("me"));
        spec.exports
            .insert("url".to_owned(), export.parse().unwrap());
        spec
    }

    #[test]
    fn what_is_there_may_be_named() {
        let wait = Wait::All(vec![Wait::http("/"), Wait::log("ready"), Wait::Plugin]);
        check(&spec(wait, "x://{user}@{host}:{port.api}/{name}"), "");
    }

    #[test]
    fn what_is_missing_is_told() {
        let wait = Wait::Any(vec![Wait::Tcp {
            port: Some("admin".to_owned()),
        }]);
        check(
            &spec(wait, ""),
            "it waits for port `admin`, which it does not have\n  hint: its ports are `api`",
        );
        check(
            &spec(Wait::Running, "{port.admin}"),
            "export `url` names `port.admin`, which the service does not have\n  hint: it has `name`, `host`, `port`, `user`",
        );
        check(
            &Spec {
                wait: Wait::http("/"),
                ..Spec::default()
            },
            "it waits for port `main`, which it does not have\n  hint: give it a port",
        );
    }

    #[test]
    fn waits_that_can_never_end_are_told() {
        check(
            &spec(Wait::log("a("), ""),
            "`a(` is no regular expression\n  hint: write a `\\` before a character that means itself",
        );
        check(
            &spec(Wait::All(Vec::new()), ""),
            "it is ready when nothing of nothing is\n  hint: name what it waits for",
        );
        let never = Spec {
            start_timeout: std::time::Duration::ZERO,
            ..Spec::default()
        };
        check(
            &never,
            "the start timeout is zero\n  hint: leave it out for a minute",
        );
    }
}
