//! Numbered databases of a shared server, and the users that own them.
//!
//! Whose a database is stands in the last database of the server, in a hash
//! from numbers to names: claims are atomic, so that two runs can share a
//! server. No test can select that database.

use clnrm_runtime::service::{Login, Secret, SliceId};
use clnrm_runtime::{CleanroomError, Result};
use redis::{Connection, FromRedisValue, RedisResult, ToRedisArgs, cmd};

use crate::connection::refused;

/// The hash in the last database.
const CLAIMS: &str = "clnrm:slices";

/// Claims the first free database from a number on, and returns its number, or
/// 0 when there is none. A database that holds keys is somebody's own.
const CLAIM: &str = r"
local claims, name, first, last = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
for step = 0, last - 2 do
  local database = (first - 1 + step) % (last - 1) + 1
  redis.call('SELECT', last)
  if redis.call('HSETNX', claims, database, name) == 1 then
    redis.call('SELECT', database)
    if redis.call('DBSIZE') == 0 then return database end
    redis.call('SELECT', last)
    redis.call('HDEL', claims, database)
  end
end
return 0";

/// Empties a database and gives it up, unless it is another's by now.
const RELEASE: &str = r"
local claims, name, database, last = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
redis.call('SELECT', last)
if redis.call('HGET', claims, database) == name then
  redis.call('SELECT', database)
  redis.call('FLUSHDB')
  redis.call('SELECT', last)
  redis.call('HDEL', claims, database)
end";

const LIST: &str = r"
redis.call('SELECT', ARGV[1])
return redis.call('HGETALL', KEYS[1])";

/// What a test's user may not do: reach other databases, other users or the
/// server. A container of subcommands is named whole where all of it is meant.
const FORBIDDEN: [&str; 19] = [
    "-move",
    "-copy",
    "-swapdb",
    "-flushall",
    "-config",
    "-script|flush",
    "-script|kill",
    "-function",
    "-acl",
    "+acl|whoami",
    "-client|kill",
    "-client|pause",
    "-shutdown",
    "-debug",
    "-replicaof",
    "-slaveof",
    "-failover",
    "-migrate",
    "-module",
];

/// Gives the slice a database and a user of that.
pub(crate) fn open(connection: &mut Connection, id: &SliceId) -> Result<Login> {
    let last = last_database(connection);
    let claim = (&id.name, id.number.max(1), last);
    let database: i64 = evaluate(connection, CLAIM, claim)?;
    if database == 0 {
        return Err(CleanroomError::resource_limit_error(format!(
            "none of {} databases is free for `{id}`",
            last - 1
        ))
        .with_hint("run fewer tests at once, or ask for more: `.databases(..)`"));
    }
    let user = add_user(connection, &id.name, database);
    if user.is_err() {
        // The first error says more than one of the clean-up.
        let _ = evaluate::<()>(connection, RELEASE, (&id.name, database, last));
    }
    Ok(Login::new(&id.name, user?, database.to_string()))
}

/// Ends the connections of the slice's user, and removes it and its data.
/// Closing what is gone is no error.
pub(crate) fn close(connection: &mut Connection, name: &str, database: &str) -> Result<()> {
    cmd("ACL")
        .arg(("DELUSER", name))
        .query::<()>(connection)
        .map_err(|error| refused("the removal of a user", error))?;
    let last = last_database(connection);
    evaluate(connection, RELEASE, (name, database, last))
}

/// The claimed databases: number and name of the slice.
pub(crate) fn list(connection: &mut Connection) -> Result<Vec<(String, String)>> {
    let last = last_database(connection);
    evaluate(connection, LIST, last)
}

fn add_user(connection: &mut Connection, name: &str, database: i64) -> Result<Secret> {
    let mut user = || -> RedisResult<String> {
        let password: String = cmd("ACL").arg("GENPASS").query(connection)?;
        cmd("ACL")
            .arg(("SETUSER", name, "reset", "on", format!(">{password}")))
            .arg(("~*", "&*", "+@all"))
            .arg(&FORBIDDEN)
            .arg(("-select", format!("+select|{database}")))
            .query::<()>(connection)?;
        Ok(password)
    };
    let password = user().map_err(|error| {
        refused("a user of the test's own", error).with_hint(
            "tests share Redis 7 or newer, by a user who may use ACL; else give each its own: `scope = \"test\"`",
        )
    })?;
    Ok(password.into())
}

fn evaluate<T: FromRedisValue>(
    connection: &mut Connection,
    script: &str,
    arguments: impl ToRedisArgs,
) -> Result<T> {
    cmd("EVAL")
        .arg((script, 1, CLAIMS))
        .arg(arguments)
        .query(connection)
        .map_err(|error| refused("to say whose its databases are", error))
}

/// The number of the last database. A server that keeps its settings to itself
/// has 16, as Redis has by default.
fn last_database(connection: &mut Connection) -> i64 {
    let setting = cmd("CONFIG").arg(("GET", "databases")).query(connection);
    let count: Option<(String, i64)> = setting.ok();
    count.map_or(16, |(_, count)| count) - 1
}
