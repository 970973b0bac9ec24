//! Users of this machine, as `/etc/passwd` names them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::{CleanroomError, Result};
use crate::keeper::User;

/// A user, with its own group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    pub(super) fn to_user(&self) -> User {
        User {
            uid: self.uid,
            gid: self.gid,
        }
    }
}

/// As whom a program runs that refuses to run as root: `configured`, else
/// `postgres`, else `nobody`. Nobody in particular when we are not root.
///
/// # Errors
/// When the configured user does not exist, or none of the others does.
pub(super) fn unprivileged(configured: Option<&str>) -> Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    choose(&passwd, configured).map(Some)
}

fn choose(passwd: &str, configured: Option<&str>) -> Result<Account> {
    if let Some(name) = configured {
        return find(passwd, name).ok_or_else(|| {
            CleanroomError::validation_error(format!("there is no user `{name}`"))
                .with_hint("name one of `/etc/passwd`, by name or number, as the user of processes")
        });
    }
    let account = ["postgres", "nobody"]
        .iter()
        .find_map(|name| find(passwd, name));
    account.ok_or_else(|| {
        CleanroomError::container_error(
            "the program refuses to run as root, and there is no user `postgres` or `nobody`",
        )
        .with_hint("configure a user, or run as one that is not root")
    })
}

/// Finds a user by name, else by number.
fn find(passwd: &str, wanted: &str) -> Option<Account> {
    let accounts = || {
        passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Account { name, uid, gid })
        })
    };
    let by_name = accounts().find(|account| account.name == wanted);
    by_name.or_else(|| {
        let number: u32 = wanted.parse().ok()?;
        accounts().find(|account| account.uid == number)
    })
}

/// Makes sure that another user can get at `path`.
///
/// # Errors
/// When a directory above it shuts that user out; the message names it.
pub(super) fn can_reach(account: &Account, path: &Path) -> Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    for dir in path.ancestors() {
        let Ok(meta) = fs::metadata(dir) else {
            continue;
        };
        let bit = if meta.uid() == account.uid {
            0o100
        } else if meta.gid() == account.gid {
            0o010
        } else {
            0o001
        };
        if meta.mode() & bit == 0 {
            return Err(CleanroomError::container_error(format!(
                "user `{}` cannot run `{}`: `{}` shuts it out",
                account.name,
                path.display(),
                dir.display()
            ))
            .with_hint(
                "the program refuses to run as root: put it where every user can read, \
                 or configure another user",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
a broken line
ann:x:1000:1001:Ann,,,:/home/ann:/bin/bash
";

    #[track_caller]
    fn check(passwd: &str, configured: Option<&str>, expected: Option<(&str, u32, u32)>) {
        let chosen = choose(passwd, configured).ok();
        let chosen = chosen
            .as_ref()
            .map(|account| (account.name.as_str(), account.uid, account.gid));
        assert_eq!(chosen, expected);
    }

    #[test]
    fn the_configured_user_wins_then_postgres_then_nobody() {
        check(PASSWD, None, Some(("nobody", 65534, 65534)));
        let with_postgres = format!("{PASSWD}postgres:x:106:114::/var/lib/postgresql:/bin/bash\n");
        check(&with_postgres, None, Some(("postgres", 106, 114)));
        check(&with_postgres, Some("ann"), Some(("ann", 1000, 1001)));
        check(&with_postgres, Some("1000"), Some(("ann", 1000, 1001)));
        check(&with_postgres, Some("bob"), None);
        check("root:x:0:0::/root:/bin/sh", None, None);
    }
}
