//! Versions as programs print them: `postgres (PostgreSQL) 15.18`, `Redis server v=7.0.15`.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use regex::Regex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::cache::{Cache, Part};
use crate::keeper;

/// How long a program may take to say its version.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long a program that did not answer is let alone: one that takes no
/// arguments never does, and a machine that is busy now may not be later.
const LATE_FOR: Duration = Duration::from_secs(600);

/// A version, by its numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

impl Version {
    /// The first thing in `text` that looks like one: numbers joined by dots,
    /// else a number alone that is no part of a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        static DOTTED: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"(?:^|[^0-9.])(\d+(?:\.\d+)+)").ok());
        static ALONE: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"(?:^|[\s=v])(\d+)").ok());
        let find = |regex: &Option<Regex>| {
            let numbers = regex.as_ref()?.captures(text)?.get(1)?.as_str();
            let numbers: Result<_, _> = numbers.split('.').map(str::parse).collect();
            numbers.ok().map(Self)
        };
        find(&DOTTED).or_else(|| find(&ALONE))
    }

    /// Whether both have the same first number.
    #[must_use]
    pub fn same_major(&self, other: &Self) -> bool {
        self.0.first() == other.0.first()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// What programs said of their versions, across runs: some are scripts that
/// take half a second to say it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    dir: Option<PathBuf>,
    /// How long a program may take to answer.
    deadline: Duration,
}

/// A program that was asked for its version.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    path: PathBuf,
    len: u64,
    modified: SystemTime,
    version: Option<String>,
    /// That it did not answer, and when.
    late: Option<SystemTime>,
}

impl Memory {
    /// In a directory of the cache. One that cannot be made remembers nothing.
    pub(super) fn new(cache: &Cache) -> Self {
        Self {
            dir: cache.dir(Part::Versions).ok(),
            deadline: DEADLINE,
        }
    }

    /// What `program` says, asked only where it is not known. A script may
    /// stand for another program than the last time, so that it is asked
    /// wherever its version matters.
    ///
    /// # Errors
    /// As [`ask`].
    pub(super) async fn ask(
        &self,
        program: &Path,
        matters: bool,
    ) -> Result<Option<Version>, String> {
        let file = (!matters || !is_script(program)).then(|| self.file(program));
        let file = file.flatten();
        let known = file.as_deref().and_then(|file| recall(file, program));
        match known {
            Some(Answer::Said(version)) => return Ok(version),
            Some(Answer::Late) if !matters => return Ok(None),
            _ => {}
        }
        let answer = ask(program, self.deadline).await?;
        if let Some(file) = file
            && remember(&file, program, &answer).is_none()
        {
            tracing::debug!(program = %program.display(), "cannot remember its version");
        }
        match answer {
            Answer::Said(version) => Ok(version),
            Answer::Late => Ok(None),
        }
    }

    fn file(&self, program: &Path) -> Option<PathBuf> {
        let digest = Sha256::digest(program.as_os_str().as_encoded_bytes());
        let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(self.dir.as_ref()?.join(name))
    }
}

fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"#!"
}

fn recall(file: &Path, program: &Path) -> Option<Answer> {
    let known: Remembered = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let now = fs::metadata(program).ok()?;
    let same = (known.len, known.modified) == (now.len(), now.modified().ok()?);
    if !same || known.path != program {
        return None;
    }
    let Some(late) = known.late else {
        let version = known.version.as_deref();
        return Some(Answer::Said(version.and_then(Version::parse)));
    };
    (late.elapsed().ok()? < LATE_FOR).then_some(Answer::Late)
}

fn remember(file: &Path, program: &Path, answer: &Answer) -> Option<()> {
    let (version, late) = match answer {
        Answer::Said(version) => (version.as_ref(), None),
        Answer::Late => (None, Some(SystemTime::now())),
    };
    let metadata = fs::metadata(program).ok()?;
    let remembered = Remembered {
        path: program.to_owned(),
        len: metadata.len(),
        modified: metadata.modified().ok()?,
        version: version.map(Version::to_string),
        late,
    };
    let text = serde_json::to_vec(&remembered).ok()?;
    let draft = file.with_extension(std::process::id().to_string());
    fs::write(&draft, text).ok()?;
    fs::rename(draft, file).ok()
}

/// What became of `program --version`.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It answered: with its version, or without.
    Said(Option<Version>),
    /// It is something that runs, and did not answer in time.
    Late,
}

/// Runs `program --version`.
///
/// # Errors
/// Why it does not work, to follow its name: `does not exist`.
async fn ask(program: &Path, deadline: Duration) -> Result<Answer, String> {
    let output = match tokio::time::timeout(deadline, run(program)).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
            return Err("does not exist".to_owned());
        }
        Ok(Err(error)) => return Err(format!("cannot be executed: {error}")),
        Err(_) => return Ok(Answer::Late),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    // The loader ends with 127 when a library is missing.
    if output.status.code() == Some(127) {
        let first = err.lines().next().unwrap_or_default();
        return Err(format!("does not run: {first}"));
    }
    // Who does not know the argument may complain about it with any number.
    let said = Version::parse(&out);
    let said = said.or_else(|| output.status.success().then(|| Version::parse(&err))?);
    Ok(Answer::Said(said))
}

async fn run(program: &Path) -> io::Result<Output> {
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    loop {
        pause.tick().await;
        let mut command = Command::new(program);
        keeper::restore_for(command.as_std_mut());
        let output = command
            .arg("--version")
            .env_clear()
            .env("PATH", crate::backend::process::SYSTEM_PATH)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output()
            .await;
        match output {
            // A program unpacked a moment ago is still open in every child that
            // this process is forking just now.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {}
            output => return output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let version = Version::parse(text).map(|version| version.to_string());
        assert_eq!(version.as_deref(), expected);
    }

    #[test]
    fn what_servers_print_is_read() {
        check(
            "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
            Some("15.18"),
        );
        check("postgres (PostgreSQL) 18beta1", Some("18"));
        check(
            "Redis server v=7.0.15 sha=00000000:0 bits=64",
            Some("7.0.15"),
        );
        check("nginx version: nginx/1.22.1", Some("1.22.1"));
        check("mysqld  Ver 8.0.36 for Linux on x86_64", Some("8.0.36"));
        check("v2.11.7 h1:abc", Some("2.11.7"));
        check("15", Some("15"));
        check("no version x86_64", None);
        check("", None);
    }

    #[test]
    fn the_numbers_are_compared_and_not_the_text() {
        let version = |text| Version::parse(text).unwrap();
        assert!(version("9.6") < version("10"));
        assert!(version("15.2") < version("15.10"));
        assert!(version("15").same_major(&version("15.18")));
        assert!(!version("7").same_major(&version("6.2.14")));
    }

    #[tokio::test]
    async fn what_cannot_be_executed_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server");
        let missing = ask(&file, DEADLINE).await;
        assert_eq!(missing, Err("does not exist".to_owned()));
        std::fs::write(&file, "x").unwrap();
        let error = ask(&file, DEADLINE).await.unwrap_err();
        assert!(error.starts_with("cannot be executed: "), "{error}");
    }

    /// A script `server` in `dir`.
    fn script(dir: &Path, body: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;

        let script = dir.join("server");
        std::fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    #[tokio::test]
    async fn a_program_that_was_slow_is_asked_again_after_a_while_or_where_it_matters() {
        let dir = tempfile::tempdir().unwrap();
        let ready = dir.path().join("ready");
        let body = format!("test -e {} || exec sleep 60\necho 1.2", ready.display());
        let script = script(dir.path(), &body);
        let cache = Cache::at(dir.path().join("cache"));
        let hasty = Memory {
            deadline: Duration::from_millis(100),
            ..Memory::new(&cache)
        };
        assert_eq!(hasty.ask(&script, false).await, Ok(None));
        File::create(ready).unwrap();
        let memory = Memory::new(&cache);
        assert_eq!(memory.ask(&script, false).await, Ok(None));
        let said = Ok(Version::parse("1.2"));
        assert_eq!(memory.ask(&script, true).await, said);
        let file = memory.file(&script).unwrap();
        let mut known: Remembered = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        known.late = known.late.map(|late| late - LATE_FOR);
        fs::write(&file, serde_json::to_vec(&known).unwrap()).unwrap();
        assert_eq!(memory.ask(&script, false).await, said);
    }

    #[tokio::test]
    async fn a_script_is_asked_once_unless_its_version_matters() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::new(&Cache::at(dir.path().join("cache")));
        let asked = dir.path().join("asked");
        let script = script(
            dir.path(),
            &format!("echo >> {}\necho 1.2", asked.display()),
        );
        let times = || std::fs::read_to_string(&asked).unwrap().lines().count();
        for _ in 0..3 {
            let version = memory.ask(&script, false).await.unwrap();
            assert_eq!(version, Version::parse("1.2"));
        }
        assert_eq!(times(), 1);
        memory.ask(&script, true).await.unwrap();
        assert_eq!(times(), 2);
        let later = SystemTime::now() + Duration::from_secs(9);
        File::options()
            .append(true)
            .open(&script)
            .unwrap()
            .set_modified(later)
            .unwrap();
        memory.ask(&script, false).await.unwrap();
        assert_eq!(times(), 3, "another file");
    }
}
