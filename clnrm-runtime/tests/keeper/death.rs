//! Owners and keepers that die: nothing of the run is left.

use clnrm_runtime::keeper::Spawn;
use rustix::process::Signal;

use super::owner::{Owner, Scene, Then, Who, run, temp};
use super::support::{NOBODY, Watched, eventually, is_root, script, state};

/// A child whose grandchild detached: a new session, and no parent any more.
const DETACHING: &str = "
    (setsid sh -c 'read -r pid rest < /proc/self/stat; echo \"@ grandchild $pid\"; exec sleep 1000' &)
    exec sleep 1000";

fn scene(isolate: bool, then: Then) -> Scene {
    let child = Spawn {
        isolate,
        ..script(DETACHING)
    };
    Scene {
        children: vec![child],
        engine: false,
        then,
    }
}

/// Every user that an owner can be here, with and without namespaces.
fn owners() -> Vec<(Who, bool)> {
    let users: &[Who] = if is_root() {
        &[Who::Us, Who::User(NOBODY.uid)]
    } else {
        &[Who::Us]
    };
    users
        .iter()
        .flat_map(|user| [(*user, false), (*user, true)])
        .collect()
}

#[track_caller]
fn nothing_is_left(owner: &mut Owner, grandchild: &Watched) {
    for process in owner.children.iter().chain([grandchild, &owner.keeper]) {
        process.ends();
    }
    assert!(
        !owner.dir.exists(),
        "the keeper ends after it removed the directory"
    );
}

#[test]
fn a_killed_owner_leaves_nothing() {
    for (user, isolate) in owners() {
        let temp = temp();
        let mut owner = Owner::start(temp.path(), &scene(isolate, Then::Wait), user);
        let grandchild = owner.lines.process("grandchild");
        owner.kill();
        nothing_is_left(&mut owner, &grandchild);
    }
}

#[test]
fn an_owner_that_ends_in_its_own_way_leaves_nothing() {
    for then in [Then::Abort, Then::Exit, Then::Panic] {
        let temp = temp();
        let mut owner = Owner::start(temp.path(), &scene(false, then), Who::Us);
        owner.end();
        owner.keeper.ends();
        for child in &owner.children {
            child.ends();
        }
        assert!(!owner.dir.exists(), "{then:?}");
        // Whoever wrote into its pipe is gone: this ends.
        owner.silence();
    }
}

/// What an owner without a run of its own says with this name.
fn said(temp: &std::path::Path, then: Then, name: &str) -> Vec<String> {
    let scene = Scene {
        children: Vec::new(),
        engine: false,
        then,
    };
    let (mut process, lines) = run(temp, &scene, Who::Us);
    let said = lines.all(name);
    assert!(process.wait().unwrap().success());
    said
}

#[test]
fn a_kept_run_stays_until_somebody_ends_it() {
    for isolate in [false, true] {
        let temp = temp();
        let mut owner = Owner::start(temp.path(), &scene(isolate, Then::Keep), Who::Us);
        let grandchild = owner.lines.process("grandchild");
        owner.end();
        assert!(said(temp.path(), Then::Sweep, "removed").is_empty());
        assert!(owner.keeper.is_alive() && grandchild.is_alive() && owner.children[0].is_alive());
        assert_eq!(said(temp.path(), Then::Clean, "kept"), [owner.id()]);
        nothing_is_left(&mut owner, &grandchild);
        assert!(said(temp.path(), Then::Clean, "kept").is_empty());
    }
}

#[test]
fn a_kept_run_whose_keeper_is_killed_is_stale() {
    let temp = temp();
    let mut owner = Owner::start(temp.path(), &scene(false, Then::Keep), Who::Us);
    let grandchild = owner.lines.process("grandchild");
    owner.end();
    owner.keeper.signal(Signal::KILL);
    owner.keeper.ends();
    assert!(said(temp.path(), Then::Clean, "kept").is_empty());
    assert_eq!(said(temp.path(), Then::Sweep, "removed"), [owner.id()]);
    nothing_is_left(&mut owner, &grandchild);
}

#[test]
fn a_dismissed_keeper_leaves_nothing() {
    for isolate in [false, true] {
        let temp = temp();
        let mut owner = Owner::start(temp.path(), &scene(isolate, Then::End), Who::Us);
        owner.end();
        assert!(!owner.keeper.is_alive(), "its owner waits for it");
        for child in &owner.children {
            assert!(!child.is_alive());
        }
        assert!(!owner.dir.exists());
        owner.silence();
    }
}

#[test]
fn children_die_with_a_killed_keeper() {
    for (user, isolate) in owners() {
        let temp = temp();
        let mut scene = scene(isolate, Then::Wait);
        if is_root() && user == Who::Us {
            // The change of the user would clear what binds it to the keeper.
            let [child] = &mut scene.children[..] else {
                unreachable!()
            };
            child.user = Some(NOBODY);
        }
        let mut owner = Owner::start(temp.path(), &scene, user);
        let grandchild = owner.lines.process("grandchild");
        owner.keeper.signal(Signal::KILL);
        for child in &owner.children {
            child.ends();
        }
        assert_eq!(owner.lines.next("died"), "the keeper of this run is gone");
        // Without a namespace the grandchild is left to its owner.
        owner.lines.next("cleaned");
        grandchild.ends();
        assert!(!owner.dir.exists());
    }
}

#[test]
fn a_keeper_does_not_end_when_it_is_asked_to_by_strangers() {
    let temp = temp();
    let mut owner = Owner::start(temp.path(), &scene(false, Then::Wait), Who::Us);
    let grandchild = owner.lines.process("grandchild");
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::HUP,
        Signal::QUIT,
        Signal::PIPE,
    ] {
        owner.keeper.signal(signal);
    }
    // The keeper tells of a child that ends after them all.
    owner.children[0].signal(Signal::KILL);
    owner.lines.next("exited");
    assert!(owner.keeper.is_alive());
    owner.kill();
    nothing_is_left(&mut owner, &grandchild);
}

#[test]
fn a_stopped_owner_is_not_a_dead_one() {
    let temp = temp();
    let mut scene = scene(false, Then::Wait);
    scene.children.push(script("exec sleep 1000"));
    let mut owner = Owner::start(temp.path(), &scene, Who::Us);
    let grandchild = owner.lines.process("grandchild");
    owner.watched.signal(Signal::STOP);
    eventually("the owner stops", || state(owner.watched.pid) == Some('T'));
    owner.children[0].signal(Signal::KILL);
    assert!(!owner.children[1].ends_within(std::time::Duration::from_millis(500)));
    assert!(owner.keeper.is_alive() && owner.dir.exists());
    owner.watched.signal(Signal::CONT);
    assert_eq!(owner.lines.next("exited"), "Signal(9)");
    owner.kill();
    nothing_is_left(&mut owner, &grandchild);
    owner.children[1].ends();
}

#[test]
fn a_stopped_owner_that_is_killed_is_dead() {
    let temp = temp();
    let mut owner = Owner::start(temp.path(), &scene(false, Then::Wait), Who::Us);
    let grandchild = owner.lines.process("grandchild");
    owner.watched.signal(Signal::STOP);
    owner.kill();
    nothing_is_left(&mut owner, &grandchild);
}

#[test]
fn frozen_children_die_too() {
    for isolate in [false, true] {
        let temp = temp();
        let mut owner = Owner::start(temp.path(), &scene(isolate, Then::Wait), Who::Us);
        let grandchild = owner.lines.process("grandchild");
        owner.children[0].signal(Signal::STOP);
        grandchild.signal(Signal::STOP);
        owner.kill();
        nothing_is_left(&mut owner, &grandchild);
    }
}

#[test]
fn a_run_leaves_another_alone() {
    let temp = temp();
    let mut one = Owner::start(temp.path(), &scene(false, Then::Wait), Who::Us);
    let mut other = Owner::start(temp.path(), &scene(true, Then::Wait), Who::Us);
    let grandchildren = [&mut one, &mut other].map(|owner| owner.lines.process("grandchild"));
    one.kill();
    nothing_is_left(&mut one, &grandchildren[0]);
    sweep(temp.path(), Who::Us);
    assert!(other.watched.is_alive() && other.keeper.is_alive() && other.dir.exists());
    assert!(other.children[0].is_alive() && grandchildren[1].is_alive());
    other.kill();
    nothing_is_left(&mut other, &grandchildren[1]);
}

/// What the next run, or `cargo clnrm clean`, does. Gives the ids that it found.
fn sweep(temp: &std::path::Path, user: Who) -> Vec<String> {
    let scene = Scene {
        children: Vec::new(),
        engine: false,
        then: Then::Sweep,
    };
    let (mut process, lines) = super::owner::run(temp, &scene, user);
    let status = process.wait().unwrap();
    assert!(status.success(), "{status}");
    lines.all("removed")
}

#[test]
fn the_next_run_removes_what_both_deaths_left() {
    for (user, isolate) in owners() {
        let temp = temp();
        let mut live = Owner::start(temp.path(), &scene(false, Then::Wait), user);
        let mut owner = Owner::start(temp.path(), &scene(isolate, Then::Wait), user);
        let grandchild = owner.lines.process("grandchild");
        let id = owner.id();
        // The keeper must not see its owner's end.
        owner.keeper.signal(Signal::STOP);
        owner.kill();
        assert!(
            sweep(temp.path(), user).is_empty(),
            "its keeper still has it"
        );
        owner.keeper.signal(Signal::KILL);
        owner.keeper.ends();
        assert!(owner.dir.exists());
        assert_eq!(sweep(temp.path(), user), [id]);
        grandchild.ends();
        assert!(!owner.dir.exists());
        assert!(live.watched.is_alive() && live.keeper.is_alive() && live.dir.exists());
        assert!(live.children[0].is_alive());
        let grandchild = live.lines.process("grandchild");
        live.kill();
        nothing_is_left(&mut live, &grandchild);
    }
}

#[test]
fn a_killed_owner_leaves_none_of_many() {
    let temp = temp();
    let children = (0..20).map(|_| script(DETACHING)).collect();
    let scene = Scene {
        children,
        engine: false,
        then: Then::Wait,
    };
    let mut owner = Owner::start(temp.path(), &scene, Who::Us);
    let grandchildren: Vec<Watched> = (0..20).map(|_| owner.lines.process("grandchild")).collect();
    owner.kill();
    owner.keeper.ends();
    assert!(grandchildren.iter().all(|process| !process.is_alive()));
    assert!(!owner.dir.exists());
}

#[test]
fn where_namespaces_are_refused_a_child_runs_without() {
    let temp = temp();
    let scene = scene(true, Then::Wait);
    let mut owner = Owner::start(temp.path(), &scene, Who::Contained);
    let isolation = owner.lines.next("isolation");
    assert!(
        isolation.starts_with("Refused(\"no pid and ipc namespace: "),
        "{isolation}"
    );
    let grandchild = owner.lines.process("grandchild");
    owner.kill();
    nothing_is_left(&mut owner, &grandchild);
}
