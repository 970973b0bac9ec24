//! The process table read, and signals to those that are found in it.

use std::cell::{Cell, RefCell};
use std::process::{Command, Stdio};

use super::*;

fn pid(raw: i32) -> Pid {
    Pid::from_raw(raw).unwrap()
}

#[test]
fn a_stat_line_is_read_behind_any_name() {
    let stat = "9 (a) Z (b) S 7 9 8 0 -1 5 6 7 8 9 10 11 12 13 14 15 16 17 4711 19";
    let entry = parse(pid(9), stat).unwrap();
    assert_eq!((entry.parent, entry.session), (7, 8));
    assert_eq!((entry.zombie, entry.started), (false, 4711));
}

#[test]
fn a_child_is_in_the_table() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let us = entry(getpid()).unwrap();
    let found = entry(Pid::from_child(&child)).unwrap();
    assert_eq!(found.parent, us.pid.as_raw_pid());
    // 0 for both where the session began outside of our pid namespace.
    assert_eq!(found.session, us.session);
    let all = table();
    assert!(all.iter().any(|entry| entry.pid == us.pid));
    assert!(all.iter().any(|entry| entry.pid == found.pid));
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn of(raw: i32, parent: i32) -> Entry {
    Entry {
        pid: pid(raw),
        parent,
        session: 1,
        zombie: false,
        started: 0,
    }
}

#[test]
fn one_that_may_not_be_signalled_saves_none_of_the_others() {
    let table = [of(2, 1), of(3, 2), of(4, 2)];
    for (signal, expected) in [
        (
            Signal::KILL,
            vec![
                (Signal::STOP, 2),
                (Signal::STOP, 4),
                (Signal::KILL, 2),
                (Signal::KILL, 4),
            ],
        ),
        (Signal::CONT, vec![(Signal::CONT, 2), (Signal::CONT, 4)]),
    ] {
        let sent = RefCell::new(Vec::new());
        let send = |entry: &Entry, signal| match entry.pid.as_raw_pid() {
            3 => Err(Errno::PERM),
            raw => {
                sent.borrow_mut().push((signal, raw));
                Ok(())
            }
        };
        let outcome = signal_found(signal, || table.to_vec(), send);
        assert_eq!(outcome, Err(Errno::PERM));
        assert_eq!(sent.into_inner(), expected);
    }
}

#[test]
fn what_may_not_be_signalled_may_fork_for_ever() {
    let last = Cell::new(2);
    let find = || {
        last.set(last.get() + 1);
        vec![of(2, 1), of(last.get(), 2)]
    };
    let refused = signal_found(Signal::KILL, find, |_, _| Err(Errno::PERM));
    assert_eq!(refused, Err(Errno::PERM));
    assert_eq!(last.get(), 4, "two looks");
}

#[test]
fn descendants_are_found_in_any_order() {
    let table = [of(5, 4), of(4, 2), of(3, 1), of(2, 1), of(6, 5)];
    let found = descendants(&table, &[pid(2)]);
    let mut found: Vec<i32> = found.iter().map(|entry| entry.pid.as_raw_pid()).collect();
    found.sort_unstable();
    assert_eq!(found, [4, 5, 6]);
}
