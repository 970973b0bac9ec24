//! A server that is somebody else's: used where a variable names it, and left as it was.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use clnrm_redis::redis::{self, Commands, FromRedisValue, RedisResult};

use crate::backend::Backend;
use crate::port;
use crate::run::{Ended, Run};

/// A server that wants a password.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Nobody reads on, but it may write.
    _log: Lines<BufReader<ChildStdout>>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start() -> Self {
        let port = port::free();
        let args = [
            "--save",
            "",
            "--requirepass",
            "right",
            "--bind",
            "127.0.0.1",
        ];
        let mut child = Command::new("redis-server")
            .args(args)
            .args(["--port", &port.to_string()])
            .current_dir("/tmp")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_ready = |line: Result<String, _>| line.unwrap().contains("Ready to accept");
        assert!(log.any(is_ready), "redis-server has ended");
        Self {
            child,
            _log: log,
            port,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Server {
    fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut connection = self.client().get_connection()?;
        redis::cmd(words[0]).arg(&words[1..]).query(&mut connection)
    }

    fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).unwrap()
    }

    fn url(&self) -> String {
        format!("redis://:right@127.0.0.1:{}/0", self.port)
    }
}

#[test]
fn an_external_server_is_used_and_left_as_it_was() {
    let mut server = Server::start();
    let mut own = server.client().get_connection().unwrap();
    let _: () = own.set("key", "mine").unwrap();
    // A slice of a run of another machine, which may live.
    let select = |number: u32| redis::cmd("SELECT").arg(number).to_owned();
    let _: () = select(15).query(&mut own).unwrap();
    let elsewhere = "clnrm_ba98765476543210_3";
    let _: () = own.hset("clnrm:slices", 5, elsewhere).unwrap();
    let args = ["--test", "outcomes", "-E", "test(=passes)"];
    let mut run = Run::start_with(Backend::Docker, &args, |command| {
        command.env("CLNRM_REDIS_URL", server.url());
    });
    let held = run.held();
    let users: Vec<String> = server.ask(&["ACL", "USERS"]).unwrap();
    assert_eq!(users.len(), 2, "the test has a user there: {users:?}");
    drop(held);
    let Ended { status, stderr } = run.end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("Service redis on external: `CLNRM_REDIS_URL`"),
        "{stderr}"
    );
    assert!(!stderr.contains("right"), "{stderr}");
    assert_eq!(server.child.try_wait().unwrap(), None);
    let users: Vec<String> = server.ask(&["ACL", "USERS"]).unwrap();
    assert_eq!(users, ["default"]);
    let claims: BTreeMap<u32, String> = own.hgetall("clnrm:slices").unwrap();
    assert_eq!(claims, BTreeMap::from([(5, elsewhere.to_owned())]));
    let _: () = select(0).query(&mut own).unwrap();
    assert_eq!(own.get::<_, String>("key").unwrap(), "mine");
    let databases: String = server.ask(&["INFO", "keyspace"]).unwrap();
    assert_eq!(databases.matches("db").count(), 2, "{databases}");
}
