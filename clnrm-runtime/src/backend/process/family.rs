//! The processes of an instance as `/proc` shows them: which they are, and what they use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use crate::backend::Stats;

/// Ticks a second in `/proc`: `USER_HZ`, which is 100 wherever Linux runs now.
const TICKS: u64 = 100;

/// A line of the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    pid: u32,
    parent: u32,
    session: u32,
    /// Own time and that of children that were waited for, in ticks.
    ticks: u64,
}

/// The pids of `leader`, all that descend from it, and all of its session.
pub(super) fn of(leader: u32) -> BTreeSet<u32> {
    rows(leader).into_keys().collect()
}

/// What `leader` and its family use.
pub(super) fn usage(leader: u32) -> Stats {
    let rows = rows(leader);
    let ticks: u64 = rows.values().map(|row| row.ticks).sum();
    Stats {
        cpu: Duration::from_millis(ticks * 1000 / TICKS),
        memory: rows.keys().map(|pid| memory(*pid)).sum(),
        received: None,
        sent: None,
    }
}

fn rows(leader: u32) -> BTreeMap<u32, Row> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let table: Vec<_> = pids.filter_map(row).collect();
    select(table, leader)
}

fn select(table: Vec<Row>, leader: u32) -> BTreeMap<u32, Row> {
    let mut family = BTreeSet::from([leader]);
    loop {
        let before = family.len();
        for row in &table {
            if family.contains(&row.parent) || row.session == leader {
                family.insert(row.pid);
            }
        }
        if family.len() == before {
            break;
        }
    }
    let rows = table.into_iter().map(|row| (row.pid, row));
    rows.filter(|(pid, _)| family.contains(pid)).collect()
}

fn row(pid: u32) -> Option<Row> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/<pid>/stat` (proc_pid_stat(5)): fields 4, 6 and 14 to 17.
fn parse(pid: u32, stat: &str) -> Option<Row> {
    // The name before it may hold anything, blanks and parentheses included.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse().ok();
    let ticks: Option<Vec<u64>> = (14..=17).map(number).collect();
    Some(Row {
        pid,
        parent: u32::try_from(number(4)?).ok()?,
        session: u32::try_from(number(6)?).ok()?,
        ticks: ticks?.iter().sum(),
    })
}

/// The memory of one process in bytes: its share of what it shares with others
/// where that is told, else all that is resident.
fn memory(pid: u32) -> u64 {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    let share = field("smaps_rollup", "Pss:");
    share.or_else(|| field("status", "VmRSS:")).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_behind_any_name() {
        let stat = "9 (a) b (c) S 7 9 8 0 -1 5 6 7 8 9 10 20 30 40 14 15 16 17 4711 19";
        let expected = Row {
            pid: 9,
            parent: 7,
            session: 8,
            ticks: 100,
        };
        assert_eq!(parse(9, stat), Some(expected));
    }

    #[test]
    fn a_family_is_the_descendants_and_the_session() {
        let row = |pid, parent, session| Row {
            pid,
            parent,
            session,
            ticks: 0,
        };
        let table = vec![
            row(2, 1, 2),
            row(5, 4, 5),
            row(4, 2, 4),
            row(3, 1, 3),
            row(6, 1, 2),
        ];
        let pids: Vec<_> = select(table, 2).into_keys().collect();
        assert_eq!(pids, [2, 4, 5, 6]);
    }

    #[test]
    fn this_process_uses_memory() {
        let stats = usage(std::process::id());
        assert!(stats.memory > 100_000, "{stats:?}");
    }
}
