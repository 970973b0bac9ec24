//! Runs by themselves, and the keeper as a process.

use std::os::unix::fs::PermissionsExt;

use clnrm_runtime::keeper::Keeper;
use clnrm_runtime::run::Run;
use clnrm_runtime::service::InstanceKey;

use super::support::{STAY, Watched, environment, is_root, quiet, script, stay, with_keeper};

#[test]
fn runs_have_directories_of_their_own() {
    let [one, other] = [Run::begin().unwrap(), Run::begin().unwrap()];
    assert_ne!(one.id(), other.id());
    assert_eq!(one.id().as_str().len(), 16);
    let mode = one.dir().metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, if is_root() { 0o711 } else { 0o700 });
    assert!(one.dir().as_os_str().len() <= 60);
    let key = InstanceKey::of(["a"]);
    let labels = [(); 2].map(|()| one.label("db", &key));
    assert_eq!(labels[0].owner.pid, std::process::id());
    assert_ne!(labels[0].attempt, labels[1].attempt);
    for run in [one, other] {
        let dir = run.dir().to_owned();
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::write(dir.join("a/b/c"), "d").unwrap();
        run.end().unwrap();
        assert!(!dir.exists());
    }
}

#[tokio::test]
async fn a_keeper_has_nothing_of_its_owner() {
    with_keeper(|keeper| async move {
        let pid = rustix::process::Pid::from_raw(keeper.pid().try_into().unwrap());
        assert_eq!(rustix::process::getsid(pid).unwrap(), pid.unwrap());
        let tasks = std::fs::read_dir(format!("/proc/{}/task", keeper.pid())).unwrap();
        assert_eq!(tasks.count(), 1);
        let workdir = std::fs::read_link(format!("/proc/{}/cwd", keeper.pid())).unwrap();
        assert_eq!(workdir.to_str(), Some("/"));
        for name in environment(keeper.pid()).keys() {
            assert!(!name.starts_with("CARGO"), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_process_may_have_several_keepers() {
    with_keeper(|one| async move {
        with_keeper(|other| async move {
            assert_ne!(one.pid(), other.pid());
            let ours = environment(stay(&one, script(STAY)).await.pid());
            let theirs = environment(stay(&other, script(STAY)).await.pid());
            assert_ne!(ours["CLNRM_RUN"], theirs["CLNRM_RUN"]);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_dropped_keeper_removes_the_run() {
    let run = Run::begin().unwrap();
    let keeper = Keeper::start(&run).await.unwrap();
    let child = keeper
        .spawn(script("exec sleep 1000"), quiet())
        .await
        .unwrap();
    let processes = [keeper.pid(), child.pid()].map(Watched::new);
    drop((keeper, child));
    for process in processes {
        process.ends();
    }
    assert!(!run.dir().exists());
}

#[tokio::test]
async fn after_its_dismissal_a_keeper_answers_with_an_error() {
    let run = Run::begin().unwrap();
    let keeper = Keeper::start(&run).await.unwrap();
    let child = keeper
        .spawn(script("exec sleep 1000"), quiet())
        .await
        .unwrap();
    keeper.clone().dismiss().await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), 137);
    let error = keeper.spawn(script("exit 0"), quiet()).await.unwrap_err();
    assert_eq!(error.message(), "the keeper was dismissed");
    assert!(run.dir().exists(), "its owner removes it");
    run.end().unwrap();
}

#[test]
fn a_keeper_outlives_the_runtime_it_was_started_in() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let run = Run::begin().unwrap();
    let keeper = runtime().block_on(Keeper::start(&run)).unwrap();
    let spawned = runtime().block_on(keeper.spawn(script("exit 6"), quiet()));
    let exit = runtime().block_on(spawned.unwrap().wait()).unwrap();
    assert_eq!(exit.code(), 6);
    runtime().block_on(keeper.dismiss()).unwrap();
    run.end().unwrap();
}

/// Without a socket on its standard input a process that is told to be a
/// keeper says what is wrong, and runs nothing of its own.
#[test]
fn a_variable_that_was_set_by_hand_is_explained() {
    for variable in ["CLNRM_KEEPER", "CLNRM_SHIM"] {
        let output = std::process::Command::new("/proc/self/exe")
            .arg("--list")
            .env(variable, "1")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(96));
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("unset `{variable}`")), "{said}");
    }
}
