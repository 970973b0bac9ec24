//! `ready(…)`: conditions, each followed by what belongs to it.
//!
//! Several conditions are all awaited; `any(…)` waits for the first of its own.

use proc_macro2::Span;
use syn::{LitStr, Path};

use super::Port;
use crate::hint;
use crate::mistake::Mistakes;
use crate::option::{Entries, Entry, Value};
use crate::value;

const CONDITIONS: [&str; 8] = [
    "http",
    "tcp",
    "log",
    "exec",
    "healthcheck",
    "plugin",
    "all",
    "any",
];
/// What stands behind a condition, and how.
const DETAILS: [(&str, &str); 5] = [
    ("port", "http = \"/healthz\", port = \"api\""),
    ("status", "http = \"/healthz\", status = 200"),
    ("body", "http = \"/healthz\", body = \"ok\""),
    ("count", "log = \"started\", count = 2"),
    ("stream", "log = \"started\", stream = \"stderr\""),
];
const EXAMPLE: &str = "ready(http = \"/healthz\")";

/// What `ready(…)` says.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The condition.
    pub(crate) wait: Wait,
    /// The deadline in milliseconds, where it is said here.
    pub(crate) timeout: Option<u64>,
}

/// A condition.
#[derive(Debug)]
pub(crate) struct Wait {
    /// Which.
    pub(crate) kind: Kind,
    span: Span,
}

/// The conditions that there are.
#[derive(Debug)]
pub(crate) enum Kind {
    Http {
        path: LitStr,
        port: Option<LitStr>,
        status: Option<u16>,
        body: Option<LitStr>,
    },
    Tcp {
        port: Option<LitStr>,
    },
    Log {
        pattern: LitStr,
        count: u32,
        stderr: Option<bool>,
    },
    Exec(Vec<LitStr>),
    Healthcheck,
    Plugin(Option<Path>),
    All(Vec<Wait>),
    Any(Vec<Wait>),
}

/// Reads `ready(…)`.
pub(crate) fn ready(entry: &Entry) -> syn::Result<Ready> {
    let Entries(mut entries) = list(entry)?;
    let mut mistakes = Mistakes::default();
    let mut timeout = None;
    for entry in entries.extract_if(.., |entry| entry.name == "timeout") {
        timeout = mistakes.keep(value::time("10s")(&entry));
    }
    if entries.is_empty() {
        let message = format!("nothing to wait for (hint: write `{EXAMPLE}`)");
        mistakes.on(entry, message);
    }
    let mut waits = waits(&entries, &mut mistakes);
    let wait = match waits.len() {
        0 | 1 => waits.pop(),
        _ => Some(Wait {
            kind: Kind::All(waits),
            span: entry.name.span(),
        }),
    };
    mistakes.finish(wait.map(|wait| Ready { wait, timeout }))
}

fn list(entry: &Entry) -> syn::Result<Entries> {
    match &entry.value {
        Value::List(_, list) => syn::parse2(list.clone()),
        _ => Err(entry.takes("conditions", EXAMPLE)),
    }
}

fn waits(entries: &[Entry], mistakes: &mut Mistakes) -> Vec<Wait> {
    let mut waits = Vec::<Wait>::new();
    // What details a condition that is refused is not looked at.
    let mut refused = false;
    for entry in entries {
        let name = entry.name();
        match DETAILS.iter().find(|(detail, _)| *detail == name) {
            Some(_) if refused => {}
            Some((_, example)) => {
                let detailed = match waits.last_mut() {
                    Some(wait) => wait.add(entry, &name),
                    None => Err(misplaced(entry, &name, example)),
                };
                mistakes.keep(detailed);
            }
            None => {
                let kind = mistakes.keep(condition(entry, &name));
                refused = kind.is_none();
                let span = entry.name.span();
                waits.extend(kind.map(|kind| Wait { kind, span }));
            }
        }
    }
    waits
}

fn misplaced(entry: &Entry, name: &str, example: &str) -> syn::Error {
    let message =
        format!("`{name}` belongs behind the condition that it details (hint: write `{example}`)");
    syn::Error::new_spanned(entry, message)
}

fn condition(entry: &Entry, name: &str) -> syn::Result<Kind> {
    Ok(match name {
        "http" => Kind::Http {
            path: absolute(value::text("/healthz")(entry)?)?,
            port: None,
            status: None,
            body: None,
        },
        "tcp" => {
            value::flag(entry)?;
            Kind::Tcp { port: None }
        }
        "log" => Kind::Log {
            pattern: pattern(value::text("ready to accept")(entry)?)?,
            count: 1,
            stderr: None,
        },
        "exec" => Kind::Exec(command(entry)?),
        "healthcheck" => {
            value::flag(entry)?;
            Kind::Healthcheck
        }
        "plugin" => Kind::Plugin(match entry.value {
            Value::Word => None,
            _ => Some(value::path("answers")(entry)?),
        }),
        "all" | "any" => {
            let mut mistakes = Mistakes::default();
            let Entries(entries) = list(entry)?;
            if entries.is_empty() {
                mistakes.on(
                    entry,
                    format!("`{name}` of nothing (hint: write `{name}(tcp, log = \"started\")`)"),
                );
            }
            let waits = waits(&entries, &mut mistakes);
            mistakes.finish(Some(if name == "all" {
                Kind::All(waits)
            } else {
                Kind::Any(waits)
            }))?
        }
        "timeout" => {
            let message =
                "`timeout` is for the whole of `ready(..)` (hint: move it to the end of that list)";
            return Err(syn::Error::new_spanned(entry, message));
        }
        _ => {
            let details = DETAILS.iter().map(|(name, _)| *name);
            let known = CONDITIONS.into_iter().chain(details).chain(["timeout"]);
            let hint = hint::instead(name, known);
            let message = format!("nothing can be awaited as `{name}` (hint: {hint})");
            return Err(syn::Error::new_spanned(entry, message));
        }
    })
}

fn command(entry: &Entry) -> syn::Result<Vec<LitStr>> {
    let command = value::texts("pg_isready")(entry)?;
    if command.is_empty() {
        return Err(entry.takes("a program and its arguments", "exec = [\"pg_isready\"]"));
    }
    Ok(command)
}

fn absolute(path: LitStr) -> syn::Result<LitStr> {
    if path.value().starts_with('/') {
        return Ok(path);
    }
    let example = format!("http = \"/{}\"", path.value());
    Err(value::mistake(
        path.span(),
        "the path does not begin with `/`",
        &example,
    ))
}

fn pattern(text: LitStr) -> syn::Result<LitStr> {
    match regex_syntax::ast::parse::Parser::new().parse(&text.value()) {
        Ok(_) => Ok(text),
        Err(error) => {
            let message = format!(
                "`{}` is no regular expression: {} at byte {} (hint: write `\\\\` before a character that means itself)",
                text.value(),
                error.kind(),
                error.span().start.offset
            );
            Err(syn::Error::new(text.span(), message))
        }
    }
}

impl Wait {
    /// Adds a detail that stands behind the condition.
    fn add(&mut self, entry: &Entry, name: &str) -> syn::Result<()> {
        match (&mut self.kind, name) {
            (Kind::Http { port, .. } | Kind::Tcp { port }, "port") => {
                *port = Some(value::text("api")(entry)?);
            }
            (Kind::Http { status, .. }, "status") => {
                let number = value::number::<u16>("200")(entry)?;
                if !(100..600).contains(&number) {
                    return Err(entry.takes("an HTTP status", "status = 200"));
                }
                *status = Some(number);
            }
            (Kind::Http { body, .. }, "body") => {
                *body = Some(pattern(value::text("ok")(entry)?)?);
            }
            (Kind::Log { count, .. }, "count") => {
                *count = value::number("2")(entry)?;
                if *count == 0 {
                    return Err(entry.takes("how often the line comes, from 1", "count = 2"));
                }
            }
            (Kind::Log { stderr, .. }, "stream") => {
                let streams = [("stderr", true), ("stdout", false)];
                *stderr = Some(value::choice(&streams)(entry)?);
            }
            _ => {
                let example = DETAILS.iter().find(|(detail, _)| *detail == name);
                let example = example.map_or(EXAMPLE, |(_, example)| example);
                return Err(misplaced(entry, name, example));
            }
        }
        Ok(())
    }

    /// Checks the condition against what is declared besides it.
    pub(crate) fn check(&self, ports: &[Port], has_image: bool, mistakes: &mut Mistakes) {
        match &self.kind {
            Kind::Http { port, .. } | Kind::Tcp { port } => {
                if ports.is_empty() {
                    mistakes.at(
                        self.span,
                        "there is no port to ask (hint: declare it: `port = 8080`)",
                    );
                } else if let Some(port) = port
                    && !ports.iter().any(|known| known.name == port.value())
                {
                    let known = ports.iter().map(|port| port.name.as_str());
                    let hint = hint::instead(&port.value(), known);
                    mistakes.at(
                        port.span(),
                        format!("no port is called `{}` (hint: {hint})", port.value()),
                    );
                }
            }
            Kind::Healthcheck if !has_image => {
                mistakes.at(self.span, "only an image has a health check of its own (hint: wait for `http`, `tcp`, `log` or `exec`)");
            }
            Kind::All(waits) | Kind::Any(waits) => {
                for wait in waits {
                    wait.check(ports, has_image, mistakes);
                }
            }
            _ => {}
        }
    }

    /// The functions that `plugin = path` names, and the places of a `plugin` alone.
    pub(crate) fn exchanges(&self) -> Vec<(Span, Option<&Path>)> {
        match &self.kind {
            Kind::Plugin(path) => vec![(self.span, path.as_ref())],
            Kind::All(waits) | Kind::Any(waits) => waits.iter().flat_map(Self::exchanges).collect(),
            _ => Vec::new(),
        }
    }
}
