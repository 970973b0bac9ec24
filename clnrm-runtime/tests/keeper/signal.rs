//! Who of a child gets a signal.

use clnrm_runtime::keeper::{Exit, Signal, Spawn, Target};
use tokio::time::timeout;

use super::owner::Lines;
use super::support::{PATIENCE, eventually, piped, quiet, script, state, with_keeper};

/// A child with one process in its group and one that left it.
const FAMILY: &str = "
    (say group; exec sleep 1000) &
    (setsid sh -c 'read -r pid rest < /proc/self/stat; echo \"@ detached $pid\"; exec sleep 1000' &)
    say child
    wait";

fn both(text: &str) -> [Spawn; 2] {
    [false, true].map(|isolate| Spawn {
        isolate,
        ..script(text)
    })
}

#[tokio::test]
async fn the_process_handles_what_it_is_sent() {
    with_keeper(|keeper| async move {
        for spawn in both("trap 'exit 7' TERM; say child; while :; do sleep 1000 & wait $!; done") {
            let (stdio, reader) = piped();
            let child = keeper.spawn(spawn, stdio).await.unwrap();
            Lines::new(reader).next("child");
            child.signal(Signal::Term, Target::Process).await.unwrap();
            let exit = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
            assert_eq!(exit, Exit::Code(7));
        }
    })
    .await;
}

#[tokio::test]
async fn a_signal_without_a_handler_ends_the_process() {
    with_keeper(|keeper| async move {
        for (signal, number) in [
            (Signal::Term, 15),
            (Signal::Int, 2),
            (Signal::Quit, 3),
            (Signal::Hup, 1),
            (Signal::Kill, 9),
        ] {
            for spawn in both("exec sleep 1000") {
                let child = keeper.spawn(spawn, quiet()).await.unwrap();
                child.signal(signal, Target::Process).await.unwrap();
                let exit = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
                assert_eq!(exit, Exit::Signal(number), "{:?}", child.isolation());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_group_gets_it_whole_and_alone() {
    with_keeper(|keeper| async move {
        for spawn in both(FAMILY) {
            let isolate = spawn.isolate;
            let (stdio, reader) = piped();
            let child = keeper.spawn(spawn, stdio).await.unwrap();
            let mut lines = Lines::new(reader);
            let group = lines.process("group");
            let detached = lines.process("detached");
            lines.next("child");
            child.signal(Signal::Stop, Target::Group).await.unwrap();
            for pid in [child.pid(), group.pid] {
                eventually("it is frozen", || state(pid) == Some('T'));
            }
            assert_ne!(state(detached.pid), Some('T'));
            child.signal(Signal::Cont, Target::Group).await.unwrap();
            eventually("it is thawed", || state(group.pid) != Some('T'));
            child.signal(Signal::Kill, Target::Group).await.unwrap();
            assert_eq!(child.wait().await.unwrap(), Exit::Signal(9));
            group.ends();
            // Without a namespace, who left the group is not in it.
            assert_eq!(detached.is_alive(), !isolate);
        }
    })
    .await;
}

#[tokio::test]
async fn a_tree_includes_who_detached() {
    with_keeper(|keeper| async move {
        for spawn in both(FAMILY) {
            // Of another child, it must not be met.
            let other = keeper
                .spawn(script("exec sleep 1000"), quiet())
                .await
                .unwrap();
            let (stdio, reader) = piped();
            let child = keeper.spawn(spawn, stdio).await.unwrap();
            let mut lines = Lines::new(reader);
            let family = ["group", "detached"].map(|name| lines.process(name));
            child.signal(Signal::Stop, Target::Tree).await.unwrap();
            for process in &family {
                eventually("it is frozen", || state(process.pid) == Some('T'));
            }
            child.signal(Signal::Kill, Target::Tree).await.unwrap();
            assert_eq!(child.wait().await.unwrap(), Exit::Signal(9));
            for process in family {
                process.ends();
            }
            assert_eq!(other.exit(), None);
        }
    })
    .await;
}

#[tokio::test]
async fn a_group_outlives_its_leader_and_is_still_reached() {
    with_keeper(|keeper| async move {
        let (stdio, reader) = piped();
        let text = "(say group; exec sleep 1000) & exit 0";
        let child = keeper.spawn(script(text), stdio).await.unwrap();
        let group = Lines::new(reader).process("group");
        assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
        assert!(group.is_alive());
        child.signal(Signal::Kill, Target::Group).await.unwrap();
        group.ends();
        // Nobody is left, which is no error.
        for target in [Target::Process, Target::Group, Target::Tree] {
            child.signal(Signal::Term, target).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn in_a_namespace_nothing_outlives_the_program() {
    with_keeper(|keeper| async move {
        let [_, isolated] = both(&FAMILY.replace("wait", "exec sleep 1000"));
        let (stdio, reader) = piped();
        let child = keeper.spawn(isolated, stdio).await.unwrap();
        if !matches!(
            child.isolation(),
            clnrm_runtime::keeper::Isolation::Namespaces
        ) {
            eprintln!("SKIPPED: namespaces are not allowed here");
            return;
        }
        let mut lines = Lines::new(reader);
        let family = ["group", "detached"].map(|name| lines.process(name));
        child.signal(Signal::Term, Target::Process).await.unwrap();
        assert_eq!(child.wait().await.unwrap(), Exit::Signal(15));
        // When the end is told, it is the end of all.
        for process in family {
            assert!(!process.is_alive());
        }
    })
    .await;
}
