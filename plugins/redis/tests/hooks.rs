//! The plugin's hooks against a real server.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

#[path = "../../support/server.rs"]
mod server;

use clnrm_redis::redis::{Connection, RedisResult, cmd};
use clnrm_redis::{Redis, RedisPlugin, plugin};
use clnrm_runtime::plugin::External;
use clnrm_runtime::service::{Slice, SliceId};
use clnrm_runtime::{ErrorKind, ServiceHandle, ServicePlugin};
use server::Server;

fn id(number: u32) -> SliceId {
    SliceId {
        name: format!("clnrm_run_{number}"),
        number,
    }
}

/// A connection as the test that owns `slice` would make it.
fn connect(server: &Server, slice: &Slice) -> RedisResult<Connection> {
    let here = server.handle();
    let external = External {
        host: here.host().unwrap().to_owned(),
        port: here.port().unwrap(),
        vars: slice.vars.clone(),
    };
    let spec = plugin().spec().unwrap().unwrap();
    let handle = ServiceHandle::external("cache", &spec, external);
    Redis::from(handle).client().unwrap().get_connection()
}

fn admin(server: &Server) -> Connection {
    Redis::from(server.handle())
        .client()
        .unwrap()
        .get_connection()
        .unwrap()
}

fn say(connection: &mut Connection, words: &str) -> RedisResult<String> {
    let mut words = words.split(' ');
    cmd(words.next().unwrap())
        .arg(words.collect::<Vec<_>>())
        .query(connection)
}

fn keys(connection: &mut Connection) -> Vec<String> {
    cmd("KEYS").arg("*").query(connection).unwrap()
}

#[test]
fn the_server_is_ready_with_its_configuration() {
    let server = Server::start(&plugin().config("maxmemory-policy", "allkeys-lru"));
    let (_, policy): (String, String) = cmd("CONFIG")
        .arg(("GET", "maxmemory-policy"))
        .query(&mut admin(&server))
        .unwrap();
    assert_eq!(policy, "allkeys-lru");
}

#[test]
fn a_server_with_another_password_is_not_ours() {
    let server = Server::start(&plugin().password("theirs"));
    let mut handle = serde_json::to_value(server.handle()).unwrap();
    handle["core"]["vars"]["userinfo"]["value"] = "default:ours@".into();
    let error = plugin()
        .ready(&serde_json::from_value(handle).unwrap())
        .unwrap_err();
    assert!(
        error
            .hint()
            .unwrap()
            .contains("another server may have taken the port"),
        "{error:?}"
    );
    assert!(!error.report().contains("ours"), "{error:?}");
}

#[test]
fn a_server_without_a_password_is_not_ours() {
    let server = Server::start(&plugin());
    cmd("CONFIG")
        .arg(("SET", "requirepass", ""))
        .query::<()>(&mut admin(&server))
        .unwrap();
    let error = plugin().ready(&server.handle()).unwrap_err();
    assert_eq!(
        error.message(),
        "the Redis that answers takes any password: it is not ours"
    );
    // Somebody else's may be as it likes.
    plugin().ready(&server.external_handle()).unwrap();
}

#[test]
fn a_dead_server_is_not_ready() {
    let server = Server::start(&plugin());
    let handle = server.handle();
    drop(server);
    let error = plugin().ready(&handle).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Service);
}

#[test]
fn no_password_stands_among_the_arguments() {
    let server = Server::start(&plugin().password("s3cret"));
    let arguments = std::fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains("s3cret"));
}

#[test]
fn two_slices_never_see_each_other() {
    let server = Server::start(&plugin());
    let slices = [1, 2].map(|number| plugin().slice(&server.handle(), &id(number)).unwrap());
    let [mut one, mut two] = slices
        .each_ref()
        .map(|slice| connect(&server, slice).unwrap());
    say(&mut one, "SET cart 1").unwrap();
    say(&mut two, "SET cart 2").unwrap();
    assert_eq!(say(&mut one, "GET cart").unwrap(), "1");
    assert_eq!(keys(&mut two), ["cart"]);
    say(&mut one, "FLUSHDB").unwrap();
    assert_eq!(say(&mut two, "GET cart").unwrap(), "2");
}

#[test]
fn a_slice_cannot_reach_beyond_itself() {
    let server = Server::start(&plugin());
    let [mine, theirs] =
        [1, 2].map(|number| plugin().slice(&server.handle(), &id(number)).unwrap());
    let mut connection = connect(&server, &mine).unwrap();
    say(&mut connection, "SET k v").unwrap();
    let other = theirs.vars["database"].value.as_str();
    for words in [
        &format!("SELECT {other}"),
        "SELECT 1023",
        &format!("MOVE k {other}"),
        &format!("COPY k k DB {other}"),
        "SWAPDB 0 1",
        "FLUSHALL",
        "CONFIG GET databases",
        "SCRIPT FLUSH",
        "FUNCTION FLUSH",
        "ACL LIST",
        "SHUTDOWN NOSAVE",
        "REPLICAOF NO ONE",
        "CLIENT KILL TYPE normal",
        "CLIENT PAUSE 1",
        &format!("EVAL redis.call('SELECT',{other}) 0"),
    ] {
        let error = say(&mut connection, words).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("permission") || text.contains("can't run this command"),
            "{words}: {text}"
        );
    }
}

#[test]
fn a_slice_keeps_the_commands_that_tests_use() {
    let server = Server::start(&plugin());
    let slice = plugin().slice(&server.handle(), &id(1)).unwrap();
    let mut connection = connect(&server, &slice).unwrap();
    for words in [
        "PING",
        "INFO server",
        "ECHO x",
        "ACL WHOAMI",
        "SET k v",
        "FLUSHDB",
        "EVAL return{1} 0 x",
    ] {
        cmd(words.split(' ').next().unwrap())
            .arg(words.split(' ').skip(1).collect::<Vec<_>>())
            .query::<clnrm_redis::redis::Value>(&mut connection)
            .unwrap_or_else(|error| panic!("{words}: {error}"));
    }
}

#[test]
fn a_dropped_slice_takes_data_user_and_connections_with_it() {
    let server = Server::start(&plugin());
    let slice = plugin().slice(&server.handle(), &id(7)).unwrap();
    let mut connection = connect(&server, &slice).unwrap();
    say(&mut connection, "SET k v").unwrap();
    plugin().drop_slice(&server.handle(), &slice).unwrap();
    assert!(
        say(&mut connection, "PING").is_err(),
        "its connection is still served"
    );
    assert!(connect(&server, &slice).is_err(), "its user still exists");
    let again = plugin().slice(&server.handle(), &id(7)).unwrap();
    assert_eq!(again.vars["database"], slice.vars["database"]);
    assert_eq!(
        keys(&mut connect(&server, &again).unwrap()),
        Vec::<String>::new()
    );
}

#[test]
fn dropping_what_is_gone_is_no_error_and_harms_nobody() {
    let server = Server::start(&plugin());
    let old = plugin().slice(&server.handle(), &id(3)).unwrap();
    plugin().drop_slice(&server.handle(), &old).unwrap();
    let next = SliceId {
        name: "clnrm_other_1".to_owned(),
        number: 3,
    };
    let new = plugin().slice(&server.handle(), &next).unwrap();
    assert_eq!(new.vars["database"], old.vars["database"]);
    let mut connection = connect(&server, &new).unwrap();
    say(&mut connection, "SET k v").unwrap();
    plugin().drop_slice(&server.handle(), &old).unwrap();
    assert_eq!(say(&mut connection, "GET k").unwrap(), "v");
}

#[test]
fn numbers_wrap_to_what_is_free() {
    let plugin = plugin().databases(5);
    let server = Server::start(&plugin);
    let number = |plugin: &RedisPlugin, n| {
        let slice = plugin.slice(&server.handle(), &id(n))?;
        Ok::<_, clnrm_runtime::CleanroomError>((slice.vars["database"].value.clone(), slice))
    };
    // Databases 1 to 3 are for tests: 0 is everybody's, 4 says whose they are.
    let (first, slice) = number(&plugin, 1).unwrap();
    let (second, _two) = number(&plugin, 2).unwrap();
    let (third, _three) = number(&plugin, 2_000_000_000).unwrap();
    assert_eq!(
        (first.as_str(), second.as_str(), third.as_str()),
        ("1", "2", "3")
    );
    let full = number(&plugin, 4).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::ResourceLimit);
    assert_eq!(
        full.message(),
        "none of 3 databases is free for `clnrm_run_4`"
    );
    plugin.drop_slice(&server.handle(), &slice).unwrap();
    assert_eq!(number(&plugin, 9).unwrap().0, "1");
}

#[test]
fn a_database_that_holds_somebody_s_keys_is_passed_over() {
    let server = Server::start(&plugin().databases(5));
    let mut admin = admin(&server);
    say(&mut admin, "SELECT 1").unwrap();
    say(&mut admin, "SET precious data").unwrap();
    let slice = plugin().slice(&server.external_handle(), &id(1)).unwrap();
    assert_eq!(slice.vars["database"].value, "2");
    assert_eq!(say(&mut admin, "GET precious").unwrap(), "data");
}

#[test]
fn claims_of_many_at_once_are_all_different() {
    let server = Server::start(&plugin());
    let mut numbers = std::thread::scope(|scope| {
        let claims: Vec<_> = (0..8)
            .map(|run| {
                let handle = server.handle();
                scope.spawn(move || {
                    let id = SliceId {
                        name: format!("clnrm_run{run}_1"),
                        number: 1,
                    };
                    plugin().slice(&handle, &id).unwrap().vars["database"]
                        .value
                        .clone()
                })
            })
            .collect();
        claims
            .into_iter()
            .map(|claim| claim.join().unwrap())
            .collect::<Vec<_>>()
    });
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 8);
}

#[test]
fn a_sweep_removes_stale_slices_alone() {
    let server = Server::start(&plugin());
    let [stale, live] = [1, 2].map(|number| plugin().slice(&server.handle(), &id(number)).unwrap());
    say(&mut connect(&server, &stale).unwrap(), "SET k v").unwrap();
    let is_stale = |name: &str| name == stale.id.name;
    let swept = plugin().sweep(&server.handle(), &is_stale).unwrap();
    assert_eq!(swept, [stale.id.name.as_str()]);
    assert!(connect(&server, &stale).is_err());
    connect(&server, &live).unwrap();
    assert_eq!(
        say(&mut admin(&server), "INFO keyspace")
            .unwrap()
            .matches("db1:")
            .count(),
        0
    );
}

#[test]
fn a_slice_that_cannot_have_a_user_gives_its_database_back() {
    let server = Server::start(&plugin());
    say(&mut admin(&server), "ACL SETUSER default -acl|setuser").unwrap();
    let error = plugin().slice(&server.handle(), &id(1)).unwrap_err();
    assert!(
        error.hint().unwrap().contains("Redis 7 or newer"),
        "{error:?}"
    );
    assert_eq!(
        plugin().sweep(&server.handle(), &|_| true).unwrap(),
        Vec::<String>::new()
    );
}

#[test]
fn data_survives_a_restart_when_asked_to() {
    let plugin = plugin().persistent();
    let mut server = Server::start(&plugin);
    say(&mut admin(&server), "SET cart 3").unwrap();
    server.restart(&plugin);
    assert_eq!(say(&mut admin(&server), "GET cart").unwrap(), "3");
}

#[test]
fn data_ends_with_the_server_otherwise() {
    let mut server = Server::start(&plugin());
    say(&mut admin(&server), "SET cart 3").unwrap();
    server.restart(&plugin());
    assert_eq!(keys(&mut admin(&server)), Vec::<String>::new());
}
