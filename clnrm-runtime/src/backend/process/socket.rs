//! Who listens where, as `/proc` tells.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A socket that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) inode: u64,
    pub(super) uid: u32,
}

/// Who holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    /// A process that this user may look into.
    Process { pid: u32, program: String },
    /// A process of another user.
    User(u32),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid, program } => write!(f, "process {pid} ({program})"),
            Self::User(uid) => write!(f, "a process of user {uid}"),
        }
    }
}

/// The sockets of this network namespace that listen on `port`.
pub(super) fn listeners(port: u16) -> Vec<Listener> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|table| parse(&table, port))
        .collect()
}

/// Who listens on `port`, if anybody does.
pub(super) fn holder(port: u16) -> Option<Holder> {
    let listener = listeners(port).into_iter().next()?;
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        if look(pid, &[listener]) == Some(true) {
            let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let program = program.trim_end().to_owned();
            return Some(Holder::Process { pid, program });
        }
    }
    Some(Holder::User(listener.uid))
}

/// Whether one of `pids` listens on `port`.
pub(super) fn is_of(port: u16, pids: impl IntoIterator<Item = u32>) -> bool {
    let listeners = listeners(port);
    !listeners.is_empty()
        && pids.into_iter().any(|pid| {
            let uid = fs::metadata(format!("/proc/{pid}")).map(|meta| meta.uid());
            belongs(&listeners, look(pid, &listeners), uid.ok())
        })
}

/// Whether a process that a look shows, or does not, has one of the sockets.
///
/// Root in a container may not look into the processes of other users. There
/// the socket's user has to do: one that is not the process's tells a stranger.
fn belongs(listeners: &[Listener], seen: Option<bool>, uid: Option<u32>) -> bool {
    seen.unwrap_or_else(|| listeners.iter().any(|listener| uid == Some(listener.uid)))
}

/// Whether a process has one of these sockets open. `None` is one that this
/// user may not look into.
fn look(pid: u32, listeners: &[Listener]) -> Option<bool> {
    let names: Vec<_> = listeners
        .iter()
        .map(|listener| format!("socket:[{}]", listener.inode))
        .collect();
    let targets = fs::read_dir(format!("/proc/{pid}/fd"));
    let targets = targets.and_then(|entries| {
        let targets = entries.map(|entry| fs::read_link(entry?.path()));
        // What was closed since it was listed is no reason to stop.
        let open = targets.filter(|target| !is(target, ErrorKind::NotFound));
        open.collect::<io::Result<Vec<_>>>()
    });
    if is(&targets, ErrorKind::PermissionDenied) {
        return None;
    }
    let has = |target: &PathBuf| names.iter().any(|name| target == Path::new(name));
    Some(targets.is_ok_and(|targets| targets.iter().any(has)))
}

fn is<T>(result: &io::Result<T>, kind: ErrorKind) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == kind)
}

/// Reads `/proc/net/tcp`: local address, state, uid and inode are columns 2, 4,
/// 8 and 10 (`Documentation/networking/proc_net_tcp.rst` of the kernel).
fn parse(table: &str, port: u16) -> Vec<Listener> {
    const LISTEN: &str = "0A";
    let wanted = format!("{port:04X}");
    let line = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let (_, local) = columns.get(1)?.rsplit_once(':')?;
        let listens = local == wanted && *columns.get(3)? == LISTEN;
        let uid = columns.get(7)?.parse().ok()?;
        let inode = columns.get(9)?.parse().ok()?;
        listens.then_some(Listener { inode, uid })
    };
    table.lines().skip(1).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_may_not_be_looked_into_is_told_by_its_user() {
        let of = |uid| [Listener { inode: 1, uid }];
        assert!(belongs(&of(106), None, Some(106)));
        assert!(!belongs(&of(0), None, Some(106)));
        assert!(!belongs(&of(0), None, None));
        assert!(!belongs(&of(106), Some(false), Some(106)));
        assert!(belongs(&of(0), Some(true), Some(106)));
    }

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 20461 1 0 100 0 0 10 0
   1: 0100007F:1538 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000   106        0 20462 1 0 20 0 0 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17215 1 0 100 0 0 10 0
";
        let postgres = Listener {
            inode: 20461,
            uid: 106,
        };
        assert_eq!(parse(table, 5432), [postgres]);
        assert_eq!(parse(table, 53), []);
    }
}
