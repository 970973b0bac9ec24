//! Servers that are scripts, in directories of this test alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use tempfile::TempDir;

use super::*;
use crate::cache::Cache;
use crate::provision::{Pip, Progress};

struct Machine {
    dir: TempDir,
    offline: bool,
    heard: Mutex<Vec<Progress>>,
    programs: Programs,
}

impl Machine {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            offline: true,
            heard: Mutex::default(),
            programs: Programs::default(),
        }
    }

    /// Installs `server` of this version in a directory below this machine's root.
    fn install(&self, dir: &str, version: &str) -> PathBuf {
        let dir = self.dir.path().join(dir);
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("server");
        fs::write(&file, format!("#!/bin/sh\necho server version {version}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    async fn find(&self, version: Option<&str>, require_version: bool) -> ProgramProbe {
        self.find_or(version, require_version, None).await
    }

    async fn find_or(
        &self,
        version: Option<&str>,
        require_version: bool,
        provision: Option<Provision>,
    ) -> ProgramProbe {
        let cache = Cache::at(self.dir.path().join("cache"));
        let pip = Pip::with_env([("CLNRM_PIP", "/nonexistent/pip")]);
        let provisioner = Provisioner::new(cache, self.offline).with_pip(pip);
        let mut finder = Finder::new(self.programs.clone(), provisioner);
        finder.path = Some(self.dir.path().join("path").into());
        let well_known = self.dir.path().join("opt/*/bin");
        let program = NamedProgram {
            well_known: vec![well_known.to_string_lossy().into_owned()],
            version: version.map(str::to_owned),
            require_version,
            provision,
            ..NamedProgram::new("server")
        };
        let listener = |progress| self.heard.lock().unwrap().push(progress);
        finder.find(&program.into(), &listener).await
    }
}

#[track_caller]
fn is(probe: ProgramProbe, expected: &Path, expected_how: &str) -> Option<String> {
    match probe {
        ProgramProbe::Found {
            path, how, note, ..
        } => {
            assert_eq!(path, expected);
            assert_eq!(how, expected_how);
            note
        }
        ProgramProbe::Missing { tried, hint } => panic!("{tried:?} {hint}"),
    }
}

#[track_caller]
fn is_missing(probe: ProgramProbe) -> (String, String) {
    match probe {
        ProgramProbe::Missing { tried, hint } => (tried.join("\n"), hint),
        ProgramProbe::Found { path, .. } => panic!("found {path:?}"),
    }
}

#[tokio::test]
async fn the_places_are_tried_in_order() {
    let mut machine = Machine::new();
    let opt = machine.install("opt/7/bin", "7.1");
    assert_eq!(
        is(machine.find(None, false).await, &opt, "well-known place"),
        None
    );
    let path = machine.install("path", "6.2");
    assert_eq!(is(machine.find(None, false).await, &path, "PATH"), None);
    let own = machine.install("own", "5.0");
    machine
        .programs
        .paths
        .insert("server".to_owned(), own.clone());
    assert_eq!(
        is(machine.find(None, false).await, &own, "configured"),
        None
    );
    let dir = own.parent().unwrap().to_owned();
    machine.programs.paths.insert("server".to_owned(), dir);
    assert_eq!(
        is(machine.find(None, false).await, &own, "configured"),
        None
    );
}

#[tokio::test]
async fn the_same_major_version_is_preferred_to_an_earlier_place() {
    let machine = Machine::new();
    machine.install("path", "6.2");
    machine.install("opt/8/bin", "8.0");
    let seven = machine.install("opt/7/bin", "7.1");
    let probe = machine.find(Some("7"), false).await;
    assert_eq!(is(probe, &seven, "well-known place"), None);
}

#[tokio::test]
async fn else_the_newest_is_taken_with_a_note() {
    let machine = Machine::new();
    machine.install("path", "6.2");
    let eight = machine.install("opt/8/bin", "8.0");
    let note = is(
        machine.find(Some("7"), false).await,
        &eight,
        "well-known place",
    );
    let note = note.unwrap();
    assert_eq!(
        note,
        "`server` is version 8.0, not 7: the newest that is here"
    );
}

#[tokio::test]
async fn a_required_version_makes_another_one_an_error() {
    let machine = Machine::new();
    let path = machine.install("path", "6.2");
    let (tried, hint) = is_missing(machine.find(Some("7"), true).await);
    let expected = format!("PATH: `{}` is version 6.2, not 7", path.display());
    assert_eq!(tried, expected);
    assert_eq!(hint, "install `server`, or configure where it lies");
    is(machine.find(Some("6"), true).await, &path, "PATH");
}

#[tokio::test]
async fn a_configured_path_that_does_not_work_is_not_passed_over() {
    let mut machine = Machine::new();
    machine.install("path", "6.2");
    let wrong = machine.dir.path().join("nowhere/server");
    machine.programs.paths.insert("server".to_owned(), wrong);
    let (tried, hint) = is_missing(machine.find(None, false).await);
    assert!(tried.ends_with("does not exist"), "{tried}");
    assert!(hint.contains("is configured as `server`"), "{hint}");
}

#[tokio::test]
async fn what_does_not_run_is_passed_over() {
    let machine = Machine::new();
    let opt = machine.install("opt/7/bin", "7.1");
    let broken = machine.install("path", "6");
    fs::write(
        &broken,
        "#!/bin/sh\necho 'libx.so: cannot open' >&2\nexit 127\n",
    )
    .unwrap();
    is(machine.find(None, false).await, &opt, "well-known place");
    fs::remove_file(opt).unwrap();
    let (tried, _) = is_missing(machine.find(None, false).await);
    assert!(
        tried.ends_with("does not run: libx.so: cannot open"),
        "{tried}"
    );
}

fn provision() -> Provision {
    let platform = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    Provision {
        package: "clnrm-wheel".to_owned(),
        version: "1.0".to_owned(),
        contains: None,
        wheels: [(platform, ("x.whl".to_owned(), "0".repeat(64)))].into(),
        python: None,
        bin_dir: "bin".to_owned(),
    }
}

#[tokio::test]
async fn a_provision_that_is_forbidden_says_which_command_fetches() {
    let machine = Machine::new();
    let probe = machine.find_or(None, false, Some(provision())).await;
    let (tried, hint) = is_missing(probe);
    let expected = "provision: `clnrm-wheel` 1.0 is not in the cache";
    assert!(tried.starts_with(expected), "{tried}");
    assert!(hint.contains("cargo clnrm fetch"), "{hint}");
}

#[tokio::test]
async fn another_version_that_is_here_is_taken_rather_than_a_download() {
    let mut machine = Machine::new();
    machine.offline = false;
    let path = machine.install("path", "6.2");
    let probe = machine.find_or(Some("7"), false, Some(provision())).await;
    assert!(is(probe, &path, "PATH").is_some());
    assert_eq!(*machine.heard.lock().unwrap(), []);
    // Nobody knows what is in it before it is unpacked.
    let probe = machine.find_or(Some("7"), true, Some(provision())).await;
    let (tried, hint) = is_missing(probe);
    assert!(tried.contains("`CLNRM_PIP` names"), "{tried}");
    assert!(hint.contains("pip client"), "{hint}");
    assert_eq!(machine.heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_known_to_be_of_another_version_than_the_required_one_is_not_downloaded() {
    let mut machine = Machine::new();
    machine.offline = false;
    let holding = |version: &str| Provision {
        contains: Some(version.to_owned()),
        ..provision()
    };
    let probe = machine
        .find_or(Some("99"), true, Some(holding("18.6")))
        .await;
    let (tried, hint) = is_missing(probe);
    assert_eq!(
        tried,
        "provision: `clnrm-wheel` 1.0 has version 18.6, not 99"
    );
    assert_eq!(hint, "install `server`, or configure where it lies");
    assert_eq!(*machine.heard.lock().unwrap(), []);
    for (required, holding) in [(true, holding("99.1")), (false, holding("18.6"))] {
        machine.heard.lock().unwrap().clear();
        is_missing(machine.find_or(Some("99"), required, Some(holding)).await);
        assert_eq!(machine.heard.lock().unwrap().len(), 1);
    }
}
