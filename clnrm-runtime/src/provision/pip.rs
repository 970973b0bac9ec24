//! Downloads one wheel with the ordinary `pip` client, as the user has configured it.
//!
//! It trusts nothing of what comes: the caller compares the hash.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use crate::error::{CleanroomError, Result};
use crate::keeper;
use crate::service::Provision;

/// How long a download may take in all.
const DEADLINE: Duration = Duration::from_secs(600);

/// What is tried when `CLNRM_PIP` is not set.
const CLIENTS: [&[&str]; 3] = [&["pip3"], &["pip"], &["python3", "-m", "pip"]];

/// The `pip` client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pip {
    /// Variables that replace those of this process.
    env: Vec<(OsString, OsString)>,
}

impl Pip {
    /// With more variables than this process has.
    #[cfg(test)]
    pub(crate) fn with_env(
        env: impl IntoIterator<Item = (&'static str, impl Into<OsString>)>,
    ) -> Self {
        let env = env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self { env: env.collect() }
    }

    fn var(&self, name: &str) -> Option<OsString> {
        let own = self.env.iter().find(|(key, _)| key == name);
        let value = own.map(|(_, value)| value.clone());
        value
            .or_else(|| std::env::var_os(name))
            .filter(|value| !value.is_empty())
    }

    /// Downloads the wheel into `dest`, which is empty, and returns the one
    /// file that is in it then.
    ///
    /// # Errors
    /// When there is no client, or it downloads nothing; the message says what
    /// it said.
    pub(super) async fn download(&self, provision: &Provision, dest: &Path) -> Result<PathBuf> {
        let wanted = format!("{}=={}", provision.package, provision.version);
        let (client, output) = self.first_that_runs(provision, &wanted, dest).await?;
        let failed = |what: String| {
            CleanroomError::container_error(what)
                .with_context("client", client.join(" "))
                .with_context("pip", last_lines(&output))
                .with_hint(format!(
                    "look at `pip config list`; name a mirror that has `{wanted}` with \
                     `PIP_INDEX_URL`, or put the wheel into a directory and name that with \
                     `PIP_FIND_LINKS`"
                ))
        };
        if !output.status.success() {
            return Err(failed(format!("pip cannot download `{wanted}`")));
        }
        let file = std::fs::read_dir(dest)
            .ok()
            .and_then(|entries| entries.flatten().next());
        file.map(|entry| entry.path())
            .ok_or_else(|| failed(format!("pip downloaded nothing for `{wanted}`")))
    }

    /// Has the first client that can be run do it, whatever comes of that.
    async fn first_that_runs(
        &self,
        provision: &Provision,
        wanted: &str,
        dest: &Path,
    ) -> Result<(Vec<String>, Output)> {
        let set = self.var("CLNRM_PIP");
        let clients: Vec<Vec<String>> = match &set {
            Some(set) => {
                let words = set.to_string_lossy();
                vec![words.split_whitespace().map(str::to_owned).collect()]
            }
            None => CLIENTS
                .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
                .into(),
        };
        let mut tried = Vec::new();
        for client in clients {
            let mut command = self.command(&client);
            arguments(&mut command, provision, dest).arg(wanted);
            match run(command).await {
                Ok(output) if !is_absent(&output) => return Ok((client, output)),
                Ok(output) => {
                    tried.push(format!("`{}`: {}", client.join(" "), last_lines(&output)))
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Err(CleanroomError::timeout_error(format!(
                        "pip cannot download `{wanted}`"
                    ))
                    .with_context("client", client.join(" "))
                    .with_hint("name a mirror that answers with `PIP_INDEX_URL`")
                    .with_source(error));
                }
                Err(error) => tried.push(format!("`{}`: {error}", client.join(" "))),
            }
        }
        let error = match set {
            Some(_) => CleanroomError::validation_error("`CLNRM_PIP` names what cannot be run")
                .with_hint("set it to a pip client, for example `python3 -m pip`"),
            None => CleanroomError::container_error("there is no pip to download with")
                .with_hint("install it (`apt install python3-pip`), or set `CLNRM_PIP` to one"),
        };
        Err(error.with_context("tried", tried.join("\n")))
    }

    fn command(&self, client: &[String]) -> Command {
        let mut words = client.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command.args(words);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        // Nothing of ours is inherited: a test binary's pipes must end with it.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        keeper::restore_for(command.as_std_mut());
        command
    }
}

fn arguments<'a>(command: &'a mut Command, provision: &Provision, dest: &Path) -> &'a mut Command {
    command
        .args(["download", "--no-deps", "--only-binary=:all:", "--no-input"])
        .args([
            "--disable-pip-version-check",
            "--progress-bar=off",
            "--retries=2",
        ])
        .arg("--dest")
        .arg(dest);
    if let Some(python) = &provision.python {
        let abi = format!("cp{}", python.replace('.', ""));
        command.args(["--python-version", python, "--implementation", "cp"]);
        command.args(["--abi", &abi]);
    }
    command
}

/// Whether it is Python that answers, to say that it has no pip, or a stand-in
/// for a pip of another Python, as pyenv has them.
fn is_absent(output: &Output) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    !output.status.success()
        && (output.status.code() == Some(127) || text.contains("No module named pip"))
}

async fn run(mut command: Command) -> std::io::Result<Output> {
    match tokio::time::timeout(DEADLINE, command.output()).await {
        Ok(output) => output,
        Err(_) => Err(std::io::Error::new(
            ErrorKind::TimedOut,
            format!("no end within {} s", DEADLINE.as_secs()),
        )),
    }
}

/// The end of what a client said, standard error first.
fn last_lines(output: &Output) -> String {
    let text = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(6);
    lines.get(from..).unwrap_or_default().join("\n")
}
