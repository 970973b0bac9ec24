//! Containers of the contract tests, through the `docker` command: each is removed with its volumes when it is dropped.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a log line may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether the engine has the image. Without it a test is skipped, which is an error where Docker is required.
pub(crate) fn engine(image: &str) -> Option<()> {
    match docker(&["image", "inspect", "--format", "{{.Id}}", image]) {
        Ok(_) => Some(()),
        Err(error) if env::var("CLNRM_REQUIRE_DOCKER").is_ok_and(|value| value == "1") => {
            panic!("`{image}` is required: {error} (hint: run `cargo xtask images`)")
        }
        Err(error) => {
            // Unlike a print, this is not captured: that a test checks nothing must be seen.
            let _ = writeln!(
                io::stderr(),
                "SKIPPED: no `{image}`: {error} (hint: run `cargo xtask images`)"
            );
            None
        }
    }
}

/// What `docker` prints, without the last newline, or why it failed.
pub(crate) fn docker(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

#[derive(Debug)]
pub(crate) struct Container(String);

/// What a container logged on each stream.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Container {
    pub(crate) fn create(args: &[&str]) -> Self {
        Self(docker(&[&["create", "--label", "clnrm-test.contract"], args].concat()).unwrap())
    }

    pub(crate) fn run(args: &[&str]) -> Self {
        let container = Self::create(args);
        container.start();
        container
    }

    pub(crate) fn id(&self) -> &str {
        &self.0
    }

    pub(crate) fn start(&self) {
        docker(&["start", &self.0]).unwrap();
    }

    /// Writes a file into the container, which need not run.
    pub(crate) fn put(&self, path: &str, mode: u32, content: &[u8]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        docker(&[
            "cp",
            &file.path().to_string_lossy(),
            &format!("{}:{path}", self.0),
        ])
        .unwrap();
    }

    pub(crate) fn exec(&self, command: &[&str]) -> Result<String, String> {
        docker(&[&["exec", &self.0], command].concat())
    }

    pub(crate) fn inspect(&self, format: &str) -> String {
        docker(&["inspect", "--format", format, &self.0]).unwrap()
    }

    /// The name, in the container, of the user that runs its first process.
    pub(crate) fn user_of_first_process(&self) -> String {
        self.exec(&["stat", "--format", "%U", "/proc/1"]).unwrap()
    }

    /// The whole log, as soon as `text` is in it `count` times; a container that ends before that fails the test.
    #[track_caller]
    pub(crate) fn log_until(&self, text: &str, count: usize) -> Log {
        let mut follow = Command::new("docker");
        follow
            .args(["logs", "--follow", &self.0])
            .stdin(Stdio::null());
        let mut child = follow
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let readers = [
            forward(child.stdout.take().unwrap(), true, sender.clone()),
            forward(child.stderr.take().unwrap(), false, sender),
        ];
        let mut log = Log::default();
        let deadline = Instant::now() + PATIENCE;
        let mut seen = 0;
        while seen < count
            && let Ok((is_stdout, line)) =
                lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            seen += line.matches(text).count();
            if is_stdout {
                &mut log.stdout
            } else {
                &mut log.stderr
            }
            .push_str(&line);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
        // What had been read of the other stream by then belongs to it.
        for (is_stdout, line) in lines {
            if is_stdout {
                &mut log.stdout
            } else {
                &mut log.stderr
            }
            .push_str(&line);
        }
        assert!(
            seen >= count,
            "`{text}` was logged {seen} times, not {count}:\n{}{}",
            log.stdout,
            log.stderr
        );
        log
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // A failing test must not be hidden by a failing removal.
        if let Err(error) = docker(&["rm", "--force", "--volumes", &self.0]) {
            eprintln!("cannot remove container {}: {error}", self.0);
        }
    }
}

fn forward(
    stream: impl Read + Send + 'static,
    is_stdout: bool,
    lines: mpsc::Sender<(bool, String)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for bytes in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = format!("{}\n", String::from_utf8_lossy(&bytes));
            // Nobody listens any more once enough was seen.
            let _ = lines.send((is_stdout, line));
        }
    })
}

/// The text as `gzip` packs it.
pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap().stdout
}
