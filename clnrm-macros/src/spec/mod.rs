//! The options that say how to run something: `#[clnrm::service]` and the derive share them.

mod expand;
mod port;
mod ready;

pub(crate) use expand::pairs;
pub(crate) use port::Port;

use syn::{LitStr, Path};

use crate::mistake::{self, Mistakes};
use crate::option::{Entry, Given, Options};
use crate::text::{ExportUse, Scope, Text};
use crate::{text, value};
use ready::Ready;

/// The options that a plugin has instead. `env` is not among them: a
/// declaration may add to the plugin's.
pub(crate) const OPTIONS: [&str; 15] = [
    "image",
    "bin",
    "package",
    "program",
    "args",
    "command",
    "port",
    "ready",
    "start_timeout",
    "stop_grace",
    "volumes",
    "network",
    "alias",
    "aliases",
    "exports",
];

/// How to run something, as the attribute says it.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    image: Option<Given<LitStr>>,
    bin: Option<Given<LitStr>>,
    package: Option<Given<LitStr>>,
    program: Option<Given<LitStr>>,
    args: Option<Given<Vec<Text>>>,
    command: Option<Given<Vec<Text>>>,
    /// The ports it listens on.
    pub(crate) ports: Vec<Port>,
    ready: Option<Given<Ready>>,
    start_timeout: Option<Given<u64>>,
    stop_grace: Option<Given<u64>>,
    volumes: Option<Given<Vec<LitStr>>>,
    network: Option<Given<LitStr>>,
    aliases: Vec<Given<LitStr>>,
    exports: Vec<(LitStr, Text)>,
    /// The environment.
    pub(crate) env: Vec<(LitStr, Text)>,
    /// Whether some option says what to run, be it a wrong one.
    runs: bool,
}

impl Spec {
    /// Takes every option that says how to run something.
    pub(crate) fn take(options: &mut Options, mistakes: &mut Mistakes) -> Self {
        let mut spec = Self {
            runs: options.has(&["image", "bin", "program"]),
            image: options.take(mistakes, "image", image),
            bin: options.take(mistakes, "bin", value::text("shop")),
            package: options.take(mistakes, "package", value::text("shop")),
            program: options.take(mistakes, "program", value::text("minio")),
            args: options.take(mistakes, "args", Text::list("\"--port\", \"{port}\"")),
            command: options.take(mistakes, "command", Text::list("\"serve\"")),
            ready: options.take(mistakes, "ready", ready::ready),
            start_timeout: options.take(mistakes, "start_timeout", value::time("60s")),
            stop_grace: options.take(mistakes, "stop_grace", |entry| {
                Ok(value::any_time("2s")(entry)?.0)
            }),
            volumes: options.take(mistakes, "volumes", volumes),
            network: options.take(mistakes, "network", host_name),
            ..Self::default()
        };
        spec.aliases
            .extend(options.take(mistakes, "alias", host_name));
        if let Some(names) = options.take(mistakes, "aliases", host_names) {
            let span = names.span;
            let names = names.value.into_iter();
            spec.aliases
                .extend(names.map(|value| Given { value, span }));
        }
        let ports = options.take(mistakes, "port", port::ports);
        spec.ports = ports.map(|ports| ports.value).unwrap_or_default();
        let exports = options.take(mistakes, "exports", text::map);
        spec.exports = exports.map(|exports| exports.value).unwrap_or_default();
        spec.env = take_env(options, mistakes);
        spec
    }

    /// Checks what one option cannot know of another. `nothing` says what to
    /// write when there is nothing to run.
    pub(crate) fn check(&self, mistakes: &mut Mistakes, nothing: &str) {
        let has_process = self.bin.is_some() || self.program.is_some();
        if !self.runs {
            mistakes.at(
                proc_macro2::Span::call_site(),
                format!("this says nothing to run (hint: {nothing})"),
            );
        }
        let mut refuse = |option: &Option<Given<LitStr>>, why: &str| {
            if let Some(given) = option {
                mistakes.at(given.span, why);
            }
        };
        if self.bin.is_some() {
            refuse(
                &self.image,
                "`image` beside `bin`: a binary of the workspace is always a process (hint: keep one of them)",
            );
            refuse(
                &self.program,
                "`program` beside `bin` (hint: keep one of them; `bin` is built by cargo, `program` is installed)",
            );
        } else {
            refuse(
                &self.package,
                "`package` says where a binary comes from, and there is none (hint: add `bin = \"…\"`)",
            );
        }
        self.check_container_options(has_process, mistakes);
        if let Some(ready) = &self.ready {
            let has_image = self.image.is_some();
            ready.value.wait.check(&self.ports, has_image, mistakes);
            if let (Some(_), Some(twice)) = (ready.value.timeout, self.start_timeout) {
                mistakes.at(
                    twice.span,
                    "the deadline is in `ready(timeout = …)` already (hint: keep one)",
                );
            }
        }
    }

    fn check_container_options(&self, has_process: bool, mistakes: &mut Mistakes) {
        if self.image.is_some() {
            if let (Some(args), Some(_), false) = (&self.args, &self.command, has_process) {
                mistakes.at(
                    args.span,
                    "`args` are for a program, and there is none (hint: keep `command`)",
                );
            }
            return;
        }
        let container = [
            ("command", self.command.as_ref().map(|given| given.span)),
            ("volumes", self.volumes.as_ref().map(|given| given.span)),
            ("network", self.network.as_ref().map(|given| given.span)),
            ("alias", self.aliases.first().map(|given| given.span)),
        ];
        for (name, span) in container {
            let Some(span) = span else { continue };
            let instead = match name {
                "command" => "write `args` instead",
                _ => "leave it out, or add `image = \"…\"`",
            };
            mistakes.at(
                span,
                format!("`{name}` is for a container, and there is no image (hint: {instead})"),
            );
        }
    }

    /// Checks every text. Returns the exports of dependencies that are named.
    pub(crate) fn check_texts(&self, scope: &Scope<'_>, mistakes: &mut Mistakes) -> Vec<ExportUse> {
        let lists = [&self.args, &self.command];
        let listed = lists.into_iter().flatten().flat_map(|list| &list.value);
        let env = self.env.iter().map(|(_, text)| text);
        let mut uses = Vec::new();
        for text in listed.chain(env) {
            uses.extend(text.check(scope, mistakes));
        }
        for (_, text) in &self.exports {
            for used in text.check(scope, mistakes) {
                let message = format!(
                    "`{{{}.{}}}` in an export (hint: an export names the service's own port, host and variables)",
                    used.field, used.export
                );
                mistakes.at(used.span, message);
            }
        }
        uses
    }

    /// What dependants may name: the runtime adds the first three to every service with a port.
    pub(crate) fn export_names(&self) -> Vec<String> {
        let own = match self.ports.as_slice() {
            [] => Vec::new(),
            _ => ["host", "port", "url"].map(str::to_owned).to_vec(),
        };
        let said = self.exports.iter().map(|(name, _)| name.value());
        let mut names = own;
        for name in said {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The function of `ready(plugin = path)`, which only a derived plugin has.
    pub(crate) fn exchange(&self, allowed: bool, mistakes: &mut Mistakes) -> Option<Path> {
        let exchanges = self.ready.as_ref()?.value.wait.exchanges();
        let (span, path) = *exchanges.first()?;
        if !allowed {
            mistakes.at(span, "a service without a plugin has no exchange of its own (hint: wait for `http`, `tcp`, `log` or `exec`, or derive a plugin)");
        } else if path.is_none() {
            mistakes.at(span, "the derive writes no exchange (hint: name a function `fn(&Self, &ServiceHandle) -> Result<()>`: `plugin = answers`)");
        }
        for (again, _) in exchanges.iter().skip(1) {
            mistakes.at(*again, "a plugin has one exchange (hint: keep one)");
        }
        path.cloned()
    }
}

/// The environment, which a service with a plugin expression has too.
pub(crate) fn take_env(options: &mut Options, mistakes: &mut Mistakes) -> Vec<(LitStr, Text)> {
    let env = options.take(mistakes, "env", text::map);
    env.map(|env| env.value).unwrap_or_default()
}

/// An image with a tag or a digest; the runtime reads the rest of the reference.
fn image(entry: &Entry) -> syn::Result<LitStr> {
    let image = value::text("postgres:15")(entry)?;
    let text = image.value();
    let name = text.rsplit('/').next().unwrap_or_default();
    if text.contains(char::is_whitespace) {
        return Err(value::mistake(
            image.span(),
            "an image has no spaces",
            "image = \"postgres:15\"",
        ));
    }
    if !name.contains([':', '@']) {
        let example = format!("image = \"{text}:1.2.3\"");
        return Err(value::mistake(
            image.span(),
            format!("`{text}` has no tag, and `latest` is never assumed"),
            &example,
        ));
    }
    Ok(image)
}

fn volumes(entry: &Entry) -> syn::Result<Vec<LitStr>> {
    let volumes = value::texts("./seed:/seed:ro")(entry)?;
    let mut seen = Vec::new();
    mistake::all(volumes.into_iter().map(|volume| {
        let text = volume.value();
        let (rest, mode) = match text.rsplit_once(':') {
            Some((rest, mode @ ("ro" | "rw"))) => (rest, mode),
            _ => (text.as_str(), "rw"),
        };
        let (host, inside) = match rest.rsplit_once(':') {
            Some((host, inside)) => (Some(host), inside),
            None => (None, rest),
        };
        let why = match host {
            _ if !inside.starts_with('/') => "the path inside is not absolute",
            Some("") => "the path on the host is empty",
            None if mode == "ro" => "an anonymous volume cannot be read-only",
            _ if seen.iter().any(|other| other == inside) => "something is mounted there already",
            _ => {
                seen.push(inside.to_owned());
                return Ok(volume);
            }
        };
        let message = format!("bad volume `{text}`: {why}");
        Err(value::mistake(
            volume.span(),
            message,
            "./seed:/seed:ro` or `/data",
        ))
    }))
}

fn host_name(entry: &Entry) -> syn::Result<LitStr> {
    checked_host_name(value::text("payments")(entry)?)
}

fn host_names(entry: &Entry) -> syn::Result<Vec<LitStr>> {
    let names = value::texts("payments")(entry)?;
    mistake::all(names.into_iter().map(checked_host_name))
}

fn checked_host_name(name: LitStr) -> syn::Result<LitStr> {
    let text = name.value();
    let good = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if text.chars().all(good) {
        return Ok(name);
    }
    let message = format!("`{text}` is no host name: letters, digits, `-`, `_` and `.` make one");
    Err(value::mistake(name.span(), message, "payments"))
}
