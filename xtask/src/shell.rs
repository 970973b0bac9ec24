//! Commands that are shown, run, and named when they fail; nothing else in this crate prints or starts a process.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result, Tail};

/// Prints one line of this crate's own on stderr, which leaves stdout to what the commands say.
#[expect(clippy::print_stderr, reason = "the one place where xtask prints")]
pub(crate) fn say(line: impl fmt::Display) {
    eprintln!("{line}");
}

/// A time as it is printed: in seconds, to a tenth.
pub(crate) fn took(start: Instant) -> String {
    format!("{:.1} s", start.elapsed().as_secs_f64())
}

/// A command, without input unless it is given some.
#[derive(Debug)]
pub(crate) struct Cmd(Command);

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self(command)
    }

    /// The cargo that runs us, in the workspace, without what it told us about our own package: build scripts and
    /// tests would take that for theirs.
    pub(crate) fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::cargo_by(cargo, args)
    }

    /// The same with one of cargo's subcommands, by its own program.
    pub(crate) fn cargo_by<'a>(
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut cmd = Self::new(program);
        for (name, _) in std::env::vars_os() {
            let own = |prefix| name.to_str().is_some_and(|name| name.starts_with(prefix));
            if own("CARGO_PKG_") || own("CARGO_MANIFEST_") {
                cmd.0.env_remove(name);
            }
        }
        cmd.0.current_dir(workspace());
        cmd.args(args)
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn input(mut self, file: File) -> Self {
        self.0.stdin(file);
        self
    }

    /// Prints the command, so that a reader can repeat it.
    pub(crate) fn show(self) -> Self {
        say(format_args!("    $ {self}"));
        self
    }

    /// Runs the command with our own output.
    pub(crate) fn run(mut self) -> Result<()> {
        let status = self.0.status().map_err(|source| self.spawn_error(source))?;
        self.judge(status, Tail::default())
    }

    /// Runs the command and returns what it prints on stdout; what it prints on stderr is part of a failure.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self.0.output().map_err(|source| self.spawn_error(source))?;
        self.judge(
            output.status,
            Tail::of(&String::from_utf8_lossy(&output.stderr)),
        )?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// [`read`](Self::read) for a command that may hang, which is killed at the deadline.
    pub(crate) fn read_within(mut self, limit: Duration) -> Result<String> {
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.0.spawn().map_err(|source| self.spawn_error(source))?;
        let out = drain(child.stdout.take());
        let err = drain(child.stderr.take());
        let deadline = Instant::now() + limit;
        let mut in_time = |text: &mpsc::Receiver<String>| {
            text.recv_timeout(deadline.saturating_duration_since(Instant::now()))
                .map_err(|_| {
                    // It may have ended by itself just now, which comes to the same.
                    let _ = child.kill();
                    Error::Silent {
                        command: self.to_string(),
                        seconds: limit.as_secs(),
                    }
                })
        };
        let texts = in_time(&out).and_then(|out| Ok((out, in_time(&err)?)));
        let status = self.reap(&mut child)?;
        let (out, err) = texts?;
        self.judge(status, Tail::of(&err))?;
        Ok(out)
    }

    /// Starts the command, and leaves it to end with the namespace that it is in.
    pub(crate) fn leave(mut self) -> Result<()> {
        self.0.stdout(Stdio::null()).stderr(Stdio::null());
        let child = self.0.spawn();
        child.map(drop).map_err(|source| self.spawn_error(source))
    }

    /// Runs the command, hands over each line of its output, and shows the last of them where it fails.
    pub(crate) fn stream(mut self, mut line: impl FnMut(&str)) -> Result<()> {
        let command = self.to_string();
        let broken = |source| Error::Io {
            what: format!("read what `{command}` prints"),
            source,
        };
        let (reader, writer) = io::pipe().map_err(broken)?;
        self.0
            .stdout(writer.try_clone().map_err(broken)?)
            .stderr(writer);
        self.follow(reader, &mut line)
    }

    /// [`stream`](Self::stream) for a command whose stdout is data: that goes to `file`, and stderr is streamed.
    pub(crate) fn stream_to(mut self, file: File, mut line: impl FnMut(&str)) -> Result<()> {
        let command = self.to_string();
        let (reader, writer) = io::pipe().map_err(|source| Error::Io {
            what: format!("read what `{command}` prints"),
            source,
        })?;
        self.0.stdout(file).stderr(writer);
        self.follow(reader, &mut line)
    }

    fn follow(mut self, reader: impl Read, line: &mut dyn FnMut(&str)) -> Result<()> {
        let mut child = self.0.spawn().map_err(|source| self.spawn_error(source))?;
        // Our copies of the pipe's other end must be closed, or the reading would never end.
        self.0.stdout(Stdio::null()).stderr(Stdio::null());
        let mut seen = String::new();
        for bytes in BufReader::new(reader)
            .split(b'\n')
            .map_while(io::Result::ok)
        {
            let text = String::from_utf8_lossy(&bytes);
            line(text.trim_end());
            seen.push_str(text.trim_end());
            seen.push('\n');
        }
        let status = self.reap(&mut child)?;
        self.judge(status, Tail::of(&seen))
    }

    fn reap(&self, child: &mut Child) -> Result<ExitStatus> {
        child.wait().map_err(|source| self.spawn_error(source))
    }

    fn spawn_error(&self, source: io::Error) -> Error {
        Error::Spawn {
            command: self.to_string(),
            source,
        }
    }

    fn judge(&self, status: ExitStatus, output: Tail) -> Result<()> {
        if status.success() {
            Ok(())
        } else {
            Err(Error::Failed {
                command: self.to_string(),
                status,
                output,
            })
        }
    }
}

/// As one would type it: the variables set for it, the program's bare name, and the arguments, quoted where needed.
impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.0.get_envs() {
            if let Some(value) = value
                && !UNSHOWN.iter().any(|unshown| name == *unshown)
            {
                write!(f, "{}={} ", name.to_string_lossy(), quoted(value))?;
            }
        }
        let program = Path::new(self.0.get_program());
        write!(
            f,
            "{}",
            program
                .file_name()
                .unwrap_or(program.as_os_str())
                .to_string_lossy()
        )?;
        self.0
            .get_args()
            .try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// Variables that every step is given, and that are said once.
const UNSHOWN: [&str; 1] = ["TMPDIR"];

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Reads a stream to its end on a thread of its own, which ends when the stream does.
fn drain(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // What came before a failed read is still worth judging.
            let _ = stream.read_to_end(&mut bytes);
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// The directory of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let cmd = Cmd::new("/usr/bin/cargo")
            .args(["doc", "--features", "a b", "it's", ""])
            .env("TMPDIR", "/t")
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            cmd.to_string(),
            r"RUSTDOCFLAGS='-D warnings' cargo doc --features 'a b' 'it'\''s' ''"
        );
    }

    #[test]
    fn a_failure_names_the_command_and_ends_with_what_it_said() {
        let error = Cmd::new("sh")
            .args(["-c", "echo no such thing >&2; exit 3"])
            .read()
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "`sh -c 'echo no such thing >&2; exit 3'` failed with exit status: 3, its last lines:\n    no such thing"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Cmd::new("clnrm-no-such-program")
            .run()
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cannot run `clnrm-no-such-program`: "),
            "{error}"
        );
    }

    #[test]
    fn a_command_that_hangs_is_killed_at_its_deadline() {
        let start = Instant::now();
        let error = Cmd::new("sleep")
            .args(["60"])
            .read_within(Duration::from_millis(50))
            .unwrap_err();
        assert!(matches!(error, Error::Silent { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_command_in_time_is_read() {
        let text = Cmd::new("sh")
            .args(["-c", "echo out; echo err >&2"])
            .read_within(Duration::from_secs(60));
        assert_eq!(text.unwrap(), "out\n");
    }

    #[test]
    fn both_streams_are_handed_over_line_by_line() {
        let mut lines = Vec::new();
        let script = "echo one; echo two >&2; exit 1";
        let error = Cmd::new("sh")
            .args(["-c", script])
            .stream(|line| lines.push(line.to_owned()))
            .unwrap_err();
        assert_eq!(lines, ["one", "two"]);
        assert!(
            error
                .to_string()
                .ends_with("its last lines:\n    one\n    two"),
            "{error}"
        );
    }

    #[test]
    fn data_goes_to_the_file_and_words_to_the_reader() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut lines = Vec::new();
        Cmd::new("sh")
            .args(["-c", "echo data; echo word >&2"])
            .stream_to(file.reopen().unwrap(), |line| lines.push(line.to_owned()))
            .unwrap();
        let mut data = String::new();
        file.read_to_string(&mut data).unwrap();
        assert_eq!((data.as_str(), lines), ("data\n", vec!["word".to_owned()]));
    }
}
