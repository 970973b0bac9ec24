//! Every way in which a run can fail, as the user reads it, and the code that it ends with.
//!
//! Each snapshot is all that the command writes, but for what differs from run to run: times, ids, ports, pids, the
//! places of this checkout and of the programs of this machine.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use regex::Regex;

use crate::backend::Backend;
use crate::external::Server;
use crate::process;
use crate::project::Project;
use crate::run::{LONG, Run};

/// What differs from run to run, and what stands for it.
static REDACTED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        (r"\[>? *\d+\.\d{3}s\]", "[TIME]"),
        (r"\+\d+\.\d{3}s ", "+TIME "),
        (r" *\b\d+\.\d{3}s\b", " TIME"),
        (r"critical path: .*", "critical path: …"),
        (r"Docker \d\S*", "Docker VERSION"),
        (r"with protocol \d+", "with protocol NUMBER"),
        (r"-server` \d+(\.\d+)+", "-server` VERSION"),
        (r"\b\d+(\.\d+)? (ms|s)\b", "TIME"),
        (r"\b\d+(\.\d+)?(ms|µs|s)\b", "TIME"),
        (r"clnrm-[0-9a-f]{16}", "clnrm-RUN"),
        (r"clnrm_[0-9a-f]{16}", "clnrm_RUN"),
        (r"-[0-9a-f]{16}\b", "-HASH"),
        (r"\b[0-9a-f]{16}(-\d+)?\b", "RUN"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"pid:? \d+", "pid PID"),
        (r"\(\d+\) panicked", "(TID) panicked"),
        (r"/tmp/c-\w+/", "/tmp/PLACE/"),
        (r"rust-lang/rust/[0-9a-f]+", "RUST"),
        (r"\d+:[CMS] \d+ \w+ \d{4} [\d:.]+", "REDIS"),
        (r"process \d+ \(\S+\)", "process PID (NAME)"),
        (r"/usr/\S*bin/", "BIN/"),
        (
            r"(?m)^warning: build failed, waiting for other jobs to finish...\n",
            "",
        ),
        (
            r"(?m)^ *Compiling .*\n|^ *Finished .*\n|^ *Executable .*\n|^ *Blocking .*\n",
            "",
        ),
    ];
    let patterns = patterns.into_iter();
    patterns
        .map(|(pattern, stand_in)| (Regex::new(pattern).unwrap(), stand_in))
        .collect()
});

fn redacted(text: &str, project: &Path) -> String {
    let mut text = text.replace(&project.display().to_string(), "PROJECT");
    if text.contains(" exited with code ") {
        // Whether it was asked before its end is a matter of luck.
        let answer = |line: &&str| !line.trim_start().starts_with("last answer: ");
        text = text
            .lines()
            .filter(answer)
            .map(|line| format!("{line}\n"))
            .collect();
    }
    for (pattern, stand_in) in REDACTED.iter() {
        text = pattern.replace_all(&text, *stand_in).into_owned();
    }
    text
}

/// Runs tests of the sample, and compares code and words.
#[track_caller]
fn check(name: &str, backend: Backend, args: &[&str], code: i32) {
    check_with(name, backend, args, code, |_| ());
}

#[track_caller]
fn check_with(
    name: &str,
    backend: Backend,
    args: &[&str],
    code: i32,
    change: impl FnOnce(&mut Command),
) {
    if !backend.is_there() {
        return;
    }
    let quiet = |command: &mut Command| {
        command.env_remove("RUST_BACKTRACE");
        change(command);
    };
    let ended = Run::start_with(backend, args, quiet).end();
    let manifest = Project::shared().manifest();
    let text = redacted(&ended.stderr, manifest.parent().unwrap());
    insta::assert_snapshot!(name, text);
    assert_eq!(ended.status.code(), Some(code), "{text}");
}

/// The arguments that select one test of the target `errors`.
fn one(filter: &'static str) -> [&'static str; 4] {
    ["--test", "errors", "-E", filter]
}

#[test]
fn a_port_that_is_taken() {
    // If somebody else has it, it is taken all the same, but by no connection of somebody's: those have others.
    let _listener = TcpListener::bind("127.0.0.1:27613");
    check(
        "port_taken",
        Backend::Process,
        &one("test(=port_taken)"),
        105,
    );
}

#[test]
fn an_image_that_is_missing() {
    let args = [&one("test(=image_missing)")[..], &["--offline"]].concat();
    check("image_missing", Backend::Docker, &args, 105);
}

#[test]
fn an_image_reference_that_is_none() {
    check("bad_image", Backend::Process, &one("test(=bad_image)"), 105);
}

#[test]
fn a_program_that_is_missing() {
    let args = one("test(=program_missing)");
    check("program_missing", Backend::Process, &args, 105);
}

#[test]
fn a_container_that_exits_at_once() {
    let args = one("test(=exits_at_once)");
    check("container_exits", Backend::Docker, &args, 105);
}

#[test]
fn a_process_that_exits_at_once() {
    let args = one("test(=exits_at_once)");
    check("process_exits", Backend::Process, &args, 105);
}

#[test]
fn a_service_that_never_gets_ready() {
    let args = one("test(=never_ready)");
    check("never_ready", Backend::Process, &args, 105);
}

#[test]
fn a_host_that_crashes() {
    check(
        "host_crash",
        Backend::Process,
        &one("test(=host_crash)"),
        105,
    );
}

#[test]
fn a_container_that_would_need_a_local_process() {
    let args = [&one("test(=unreachable)")[..], &["--backend", "auto"]].concat();
    check("unreachable", Backend::Docker, &args, 105);
}

#[test]
fn a_test_that_hangs() {
    check("hangs", Backend::Process, &one("test(=hangs)"), 100);
}

#[test]
fn two_services_of_one_name() {
    let args = ["--test", "duplicate", "-E", "test(=duplicate)"];
    check("duplicate", Backend::Process, &args, 105);
}

#[test]
fn a_filter_that_names_an_unknown_service() {
    check(
        "unknown_service",
        Backend::Process,
        &one("service(rdis)"),
        4,
    );
}

#[test]
fn a_filter_that_matches_nothing() {
    let args = ["--test", "errors", "no-such-word"];
    check("no_tests", Backend::Process, &args, 4);
}

#[test]
fn a_filter_that_is_malformed() {
    check("bad_filter", Backend::Process, &one("test(=a"), 94);
}

#[test]
fn an_external_server_with_another_password() {
    let server = Server::start();
    let url = format!("redis://:wrong@127.0.0.1:{}/0", server.port);
    let args = one("test(=wrong_password)");
    check_with("wrong_password", Backend::Process, &args, 105, |command| {
        command.env("CLNRM_REDIS_URL", url);
    });
}

/// A project without anything but a test, to be run instead of the sample.
pub(crate) fn small_project(test: &str, config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let manifest =
        "[package]\nname = \"small\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n";
    fs::create_dir(dir.path().join("tests")).unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.path().join("src/lib.rs"), "").unwrap();
    fs::write(dir.path().join("tests/it.rs"), test).unwrap();
    fs::write(dir.path().join("clnrm.toml"), config).unwrap();
    dir
}

#[track_caller]
fn check_small(name: &str, test: &str, config: &str, args: &[&str], code: i32) {
    check_project(name, &small_project(test, config), args, code);
}

#[track_caller]
fn check_project(name: &str, dir: &tempfile::TempDir, args: &[&str], code: i32) {
    let mut command = Project::shared().cargo(&[]);
    let mut child = command
        .args(["clnrm", "test"])
        .args(args)
        .env("CARGO_TARGET_DIR", dir.path().join("target"))
        // Cargo has set it for this test.
        .env_remove("LD_LIBRARY_PATH")
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.path().join("err")).unwrap())
        .spawn()
        .unwrap();
    assert!(process::ends(child.id(), Instant::now() + LONG));
    let status = child.wait().unwrap();
    let said = fs::read_to_string(dir.path().join("err")).unwrap();
    let text = redacted(&said, dir.path());
    insta::assert_snapshot!(name, text);
    assert_eq!(status.code(), Some(code), "{text}");
}

#[test]
fn a_configuration_with_an_unknown_key() {
    check_small("bad_config", "", "ofline = true\n", &[], 96);
}

#[test]
fn a_binary_of_another_version() {
    let line = r#"{\"v\":9,\"path\":\"it::a\"}\n"#;
    let size = line.replace('\\', "").len();
    let test = format!(
        "#[used]\n#[unsafe(link_section = \"clnrm_t\")]\nstatic LINE: [u8; {size}] = *b\"{line}\";\n\n\
         #[test]\nfn a() {{}}\n"
    );
    check_small("version_skew", &test, "", &[], 92);
}

/// Asked for a description, and asked for a hook by a run that knows the description from an earlier one.
#[test]
fn a_host_of_another_version() {
    Project::shared().forget("skew");
    let args = ["--test", "skew", "-E", "test(=needs_its_plugin)"];
    let place = tempfile::tempdir().unwrap();
    let switch = place.path().join("switch");
    // The same in each run: a description holds in one environment.
    let skewed = |command: &mut Command| {
        command
            .env("SAMPLE_SKEW", &switch)
            .env("SAMPLE_SOCKET", "unused");
    };
    fs::write(&switch, "").unwrap();
    check_with("host_skew_at_describe", Backend::Process, &args, 92, skewed);
    fs::remove_file(&switch).unwrap();
    let described = Run::start_with(Backend::Process, &args, skewed).end();
    assert_eq!(described.status.code(), Some(0), "{}", described.stderr);
    fs::write(&switch, "").unwrap();
    // Its words have those of a server in them, so they are no snapshot.
    let later = Run::start_with(Backend::Process, &args, skewed).end();
    assert_eq!(later.status.code(), Some(92), "{}", later.stderr);
    for words in [
        "service `redis` cannot become ready: the test binary and `cargo clnrm` are of different versions",
        "hint: install the one that matches: `cargo install cargo-clnrm@9.9.9`",
    ] {
        assert!(later.stderr.contains(words), "{}", later.stderr);
    }
}

#[test]
fn a_build_that_fails() {
    check_small(
        "build_failure",
        "#[test]\nfn a() {\n    missing();\n}\n",
        "",
        &[],
        101,
    );
}

/// Its tests load a library of the compiler's.
#[test]
fn a_crate_of_macros_is_no_error() {
    let dir = small_project("", "");
    let manifest = dir.path().join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{text}\n[lib]\nproc-macro = true\n")).unwrap();
    let test = "extern crate proc_macro;\n\n#[test]\nfn expands() {}\n";
    fs::write(dir.path().join("src/lib.rs"), test).unwrap();
    check_project("macro_crate", &dir, &["--all", "--lib"], 0);
}

#[test]
fn a_project_without_clnrm() {
    let dir = small_project("#[test]\nfn a() {}\n", "");
    // It is compiled twice, and warned of once.
    fs::write(dir.path().join("src/lib.rs"), "fn unused() {}\n").unwrap();
    check_project("no_clnrm", &dir, &[], 4);
}

#[test]
fn a_directory_without_a_workspace() {
    let dir = tempfile::tempdir().unwrap();
    let output = Project::shared()
        .cargo(&[])
        .args(["clnrm", "test"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = redacted(&String::from_utf8_lossy(&output.stderr), dir.path());
    insta::assert_snapshot!("no_workspace", text);
    assert_eq!(output.status.code(), Some(102));
}

#[test]
fn help_is_there_by_both_names() {
    let dir = tempfile::tempdir().unwrap();
    let help = |args: &[&str]| {
        let output = Project::shared()
            .cargo(&[])
            .args(args)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let by_flag = help(&["clnrm", "--help"]);
    insta::assert_snapshot!("help", by_flag);
    assert_eq!(help(&["help", "clnrm"]), by_flag);
}
