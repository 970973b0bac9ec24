//! One child: what it has, what it does not, and how it ends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use clnrm_runtime::ErrorKind;
use clnrm_runtime::keeper::{Exit, Isolation, Keeper, Spawn};
use futures_util::future::join_all;
use tokio::time::timeout;

use super::owner::Lines;
use super::support::{
    NOBODY, PATIENCE, STAY, Watched, environment, files, is_root, null, piped, quiet, script,
    state, stay, with_keeper,
};

/// Both ways to run a child.
fn both(spawn: &Spawn) -> [Spawn; 2] {
    [false, true].map(|isolate| Spawn {
        isolate,
        ..spawn.clone()
    })
}

async fn exit(keeper: &Keeper, spawn: Spawn) -> Exit {
    keeper
        .spawn(spawn, quiet())
        .await
        .unwrap()
        .wait()
        .await
        .unwrap()
}

#[tokio::test]
async fn exit_statuses_arrive_unchanged() {
    let cases = [
        ("exit 0", Exit::Code(0)),
        ("exit 3", Exit::Code(3)),
        ("exit 255", Exit::Code(255)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -KILL $$", Exit::Signal(9)),
        ("kill -ABRT $$", Exit::Signal(6)),
    ];
    with_keeper(|keeper| async move {
        for (text, expected) in cases {
            for spawn in both(&script(text)) {
                let isolate = spawn.isolate;
                assert_eq!(exit(&keeper, spawn).await, expected, "{text}, {isolate}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_child_has_its_standard_files_and_no_others() {
    // What an owner was started with may be open across exec.
    let leaked = rustix::io::dup(null()).unwrap();
    with_keeper(|keeper| async move {
        for spawn in both(&script(STAY)) {
            let (mut stdio, reader) = piped();
            let (stdin, _writer) = std::io::pipe().unwrap();
            stdio.stdin = Some(stdin.into());
            let child = keeper.spawn(spawn, stdio).await.unwrap();
            Lines::new(reader).next("child");
            let files = files(child.pid());
            let numbers: Vec<u32> = files.keys().copied().collect();
            assert_eq!(numbers, [0, 1, 2], "{files:?}");
            assert!(
                files[&0].to_str().unwrap().starts_with("pipe:"),
                "{files:?}"
            );
        }
        let keeper = files(keeper.pid());
        let nulls = keeper
            .values()
            .filter(|path| *path == Path::new("/dev/null"))
            .count();
        assert_eq!(nulls, 2, "standard input and output only: {keeper:?}");
    })
    .await;
    drop(leaked);
}

#[tokio::test]
async fn the_environment_is_what_was_asked_and_the_run() {
    with_keeper(|keeper| async move {
        for mut spawn in both(&script(STAY)) {
            spawn.env.insert("ONE".into(), "two three".into());
            let child = stay(&keeper, spawn).await;
            let mut found = environment(child.pid());
            assert_eq!(found.remove("CLNRM_RUN").unwrap().len(), 16);
            assert!(found.remove("CLNRM_CHILD").is_some());
            // The shell adds this one itself.
            found.remove("PWD");
            let expected = [("ONE", "two three"), ("PATH", "/usr/bin:/bin")];
            let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(found, BTreeMap::from(expected));
        }
    })
    .await;
}

#[tokio::test]
async fn bytes_that_are_no_text_arrive() {
    with_keeper(|keeper| async move {
        let mut spawn = script("printf %s \"$ODD$1\"");
        spawn
            .env
            .insert("ODD".into(), OsString::from_vec(vec![0xff, b'a']));
        spawn.args.push("sh".into());
        spawn.args.push(OsString::from_vec(vec![0xfe]));
        let (stdio, mut reader) = piped();
        let child = keeper.spawn(spawn, stdio).await.unwrap();
        let mut said = Vec::new();
        reader.read_to_end(&mut said).unwrap();
        assert_eq!(said, [0xff, b'a', 0xfe]);
        child.wait().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_child_reads_what_it_is_given() {
    with_keeper(|keeper| async move {
        let (mut stdio, mut reader) = piped();
        let (stdin, mut writer) = std::io::pipe().unwrap();
        stdio.stdin = Some(stdin.into());
        let child = keeper.spawn(script("cat"), stdio).await.unwrap();
        writer.write_all(b"through").unwrap();
        drop(writer);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "through");
        assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
    })
    .await;
}

#[tokio::test]
async fn a_child_leads_a_session_and_starts_where_it_was_told() {
    with_keeper(|keeper| async move {
        for mut spawn in both(&script(STAY)) {
            spawn.workdir = "/usr".into();
            let child = stay(&keeper, spawn).await;
            let pid = rustix::process::Pid::from_raw(child.pid().try_into().unwrap());
            assert_eq!(rustix::process::getsid(pid).unwrap(), pid.unwrap());
            assert_eq!(rustix::process::getpgid(pid).unwrap(), pid.unwrap());
            let workdir = std::fs::read_link(format!("/proc/{}/cwd", child.pid())).unwrap();
            assert_eq!(workdir, Path::new("/usr"));
        }
    })
    .await;
}

#[tokio::test]
async fn isolation_is_real_and_reported() {
    with_keeper(|keeper| async move {
        let namespace =
            |pid: u32, kind: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        let us = std::process::id();
        for spawn in both(&script(STAY)) {
            let isolate = spawn.isolate;
            let child = stay(&keeper, spawn).await;
            if let Isolation::Refused(reason) = child.isolation() {
                eprintln!("SKIPPED: namespaces are not allowed here: {reason}");
                return;
            }
            let expected = if isolate {
                Isolation::Namespaces
            } else {
                Isolation::None
            };
            assert_eq!(*child.isolation(), expected);
            for kind in ["pid", "ipc"] {
                let apart = namespace(child.pid(), kind) != namespace(us, kind);
                assert_eq!(apart, isolate);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_child_becomes_another_user() {
    if !is_root() {
        eprintln!("SKIPPED: only root can start children as another user");
        return;
    }
    with_keeper(|keeper| async move {
        for mut spawn in both(&script(STAY)) {
            spawn.user = Some(NOBODY);
            let child = stay(&keeper, spawn).await;
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
            for (field, expected) in [
                ("Uid:", "65534 65534 65534 65534"),
                ("Gid:", "65534 65534 65534 65534"),
                ("Groups:", "65534"),
                ("CapEff:", "0000000000000000"),
            ] {
                let line = status
                    .lines()
                    .find_map(|line| line.strip_prefix(field))
                    .unwrap();
                let line: Vec<&str> = line.split_whitespace().collect();
                assert_eq!(line.join(" "), expected, "{field}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    with_keeper(|keeper| async move {
        let good = script("exit 0");
        let missing = Spawn {
            program: "/no/such/program".into(),
            ..good.clone()
        };
        let nowhere = Spawn {
            workdir: "/no/such/directory".into(),
            ..good.clone()
        };
        let directory = Spawn {
            program: "/usr".into(),
            ..good.clone()
        };
        let cases = [
            (missing, "cannot start `/no/such/program`: No such file"),
            (nowhere, "cannot enter `/no/such/directory`: No such file"),
            (directory, "cannot start `/usr`: Permission denied"),
        ];
        for (spawn, expected) in cases {
            for spawn in both(&spawn) {
                let error = keeper.spawn(spawn, quiet()).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Container);
                assert!(error.report().contains(expected), "{error:?}");
            }
        }
        let relative = Spawn {
            program: "sh".into(),
            ..good.clone()
        };
        let error = keeper.spawn(relative, quiet()).await.unwrap_err();
        assert!(
            error.message().contains("not an absolute path"),
            "{error:?}"
        );
        assert_eq!(exit(&keeper, good).await, Exit::Code(0), "it goes on");
    })
    .await;
}

#[tokio::test]
async fn arguments_that_are_too_long_are_refused() {
    with_keeper(|keeper| async move {
        let mut spawn = script("exit 0");
        spawn.args.push("x".repeat(8 << 20).into());
        let error = keeper.spawn(spawn, quiet()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.message().contains("too long"), "{error:?}");
        assert_eq!(
            exit(&keeper, script("exit 4")).await,
            Exit::Code(4),
            "it goes on"
        );
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_output_reaches_its_reader() {
    with_keeper(|keeper| async move {
        let (stdio, mut reader) = piped();
        let flood = script("exec head -c 67108864 /dev/zero");
        let child = keeper.spawn(flood, stdio).await.unwrap();
        // Meanwhile the keeper has time for others.
        assert_eq!(exit(&keeper, script("exit 5")).await, Exit::Code(5));
        let copied = std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
        assert_eq!(copied, 64 << 20);
        assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
    })
    .await;
}

#[tokio::test]
async fn two_hundred_children_at_once() {
    with_keeper(|keeper| async move {
        let children = (0..200).map(|code| {
            let keeper = &keeper;
            async move { exit(keeper, script(&format!("exit {}", code % 256))).await }
        });
        let exits = join_all(children).await;
        let expected: Vec<Exit> = (0..200).map(|code| Exit::Code(code % 256)).collect();
        assert_eq!(exits, expected);
        // A request after the releases: by its answer they have been served.
        let last = keeper
            .spawn(script("exec sleep 1000"), quiet())
            .await
            .unwrap();
        let us = keeper.pid();
        let children = std::fs::read_to_string(format!("/proc/{us}/task/{us}/children")).unwrap();
        assert_eq!(
            children.trim(),
            last.pid().to_string(),
            "all others are reaped"
        );
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_spawn_leaves_nothing_running() {
    with_keeper(|keeper| async move {
        let (stdio, reader) = piped();
        let mut spawning = Box::pin(keeper.spawn(script("exec sleep 1000"), stdio));
        // Once polled, the request is on its way.
        assert!(futures_util::poll!(&mut spawning).is_pending());
        drop(spawning);
        // The pipe ends when nobody holds it any more.
        let rest = tokio::task::spawn_blocking(|| Lines::new(reader).all(""));
        timeout(PATIENCE, rest)
            .await
            .expect("it was killed")
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_dropped_child_goes_on() {
    with_keeper(|keeper| async move {
        let child = keeper
            .spawn(script("exec sleep 1000"), quiet())
            .await
            .unwrap();
        let watched = Watched::new(child.pid());
        drop(child);
        assert_eq!(exit(&keeper, script("exit 0")).await, Exit::Code(0));
        assert!(watched.is_alive());
        assert_ne!(state(watched.pid), Some('Z'));
    })
    .await;
}
