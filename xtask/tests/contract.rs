//! What the images of `cargo xtask images` promise: the documented contract of the official ones, checked by running them.
#![cfg(test)]

mod container;

use container::{Container, docker, engine};

const POSTGRES: &str = "clnrm-test/postgres:15";
const REDIS: &str = "clnrm-test/redis:7";
const WEB: &str = "clnrm-test/web:1";
const BUSYBOX: &str = "clnrm-test/busybox:1";

/// What PostgreSQL logs when it is ready: once for the server that initialises, and once for the real one.
const READY: &str = "ready to accept connections";

/// What one connection that is not from localhost selects, with a password or without any.
fn select(
    postgres: &Container,
    password: &str,
    database: &str,
    query: &str,
) -> Result<String, String> {
    let script = format!(
        "PGPASSWORD='{password}' psql -w -h $(hostname -i) -U ann -d {database} -Atc '{query}'"
    );
    postgres.exec(&["sh", "-c", &script])
}

#[test]
fn images_say_what_the_official_ones_say() {
    let Some(()) = engine(POSTGRES) else { return };
    let config = "{{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.StopSignal}} {{json .Config.Cmd}}";
    let config = |image| docker(&["image", "inspect", "--format", config, image]).unwrap();
    assert_eq!(
        config(POSTGRES),
        r#"{"5432/tcp":{}} {"/var/lib/postgresql/data":{}} SIGINT ["postgres"]"#
    );
    assert_eq!(
        config(REDIS),
        r#"{"6379/tcp":{}} {"/data":{}}  ["redis-server"]"#
    );
    assert_eq!(
        config(WEB),
        r#"{"80/tcp":{}} null SIGQUIT ["nginx","-g","daemon off;"]"#
    );
    assert_eq!(config(BUSYBOX), r#"null null  ["sh"]"#);
}

#[test]
fn postgres_initialises_an_empty_volume_and_keeps_it() {
    let Some(()) = engine(POSTGRES) else { return };
    let settings = [
        "POSTGRES_USER=ann",
        "POSTGRES_PASSWORD=it s",
        "POSTGRES_DB=shop",
        "POSTGRES_INITDB_ARGS=--data-checksums",
    ];
    let settings: Vec<_> = settings
        .iter()
        .flat_map(|setting| ["--env", setting])
        .collect();
    let postgres = Container::create(
        &[
            &settings,
            &[POSTGRES, "-c", "fsync=off", "-c", "max_connections=33"][..],
        ]
        .concat(),
    );
    let sql = "psql --username \"$POSTGRES_USER\" --dbname \"$POSTGRES_DB\" --command";
    postgres.put(
        "/docker-entrypoint-initdb.d/1.sql",
        0o644,
        b"CREATE TABLE seen (by text); INSERT INTO seen VALUES ('sql with fsync ' || current_setting('fsync'));",
    );
    postgres.put(
        "/docker-entrypoint-initdb.d/2.sql.gz",
        0o644,
        &container::gzip("INSERT INTO seen VALUES ('gz');"),
    );
    let run = format!("#!/bin/sh\n{sql} \"INSERT INTO seen VALUES ('run as $(id -un)')\"");
    postgres.put("/docker-entrypoint-initdb.d/3.sh", 0o755, run.as_bytes());
    let sourced = format!("{sql} \"INSERT INTO seen VALUES ('sourced by $BASH')\"");
    postgres.put(
        "/docker-entrypoint-initdb.d/4.sh",
        0o644,
        sourced.as_bytes(),
    );
    postgres.start();
    let log = postgres.log_until(READY, 2);

    assert_eq!(
        log.stdout.matches(READY).count(),
        1,
        "the first server logs on stdout:\n{}",
        log.stdout
    );
    assert!(
        !log.stdout.contains("listening on IPv4"),
        "only the unix socket reaches the first server:\n{}",
        log.stdout
    );
    assert_eq!(
        log.stderr.matches(READY).count(),
        1,
        "the real server logs on stderr:\n{}",
        log.stderr
    );
    let shop = |query| select(&postgres, "it s", "shop", query).unwrap();
    assert_eq!(
        shop("SELECT by FROM seen"),
        "sql with fsync off\ngz\nrun as postgres\nsourced by /usr/bin/bash"
    );
    assert_eq!(shop("SHOW fsync"), "off");
    assert_eq!(shop("SHOW max_connections"), "33");
    assert_eq!(shop("SHOW data_checksums"), "on");
    assert_eq!(shop("SHOW lc_collate"), "en_US.utf8");
    assert_eq!(shop("SHOW server_version_num").len(), 6);
    assert!(shop("SHOW server_version").starts_with("15."));
    let wrong = select(&postgres, "wrong", "shop", "SELECT 1").unwrap_err();
    assert!(wrong.contains("password authentication failed"), "{wrong}");
    assert_eq!(postgres.user_of_first_process(), "postgres");

    docker(&["stop", "--time", "60", postgres.id()]).unwrap();
    assert_eq!(postgres.inspect("{{.State.ExitCode}}"), "0");
    postgres.start();
    let log = postgres.log_until(READY, 3);
    assert!(
        log.stderr.contains("received fast shutdown request"),
        "{}",
        log.stderr
    );
    assert_eq!(
        log.stdout.matches(READY).count(),
        1,
        "a filled volume is not initialised again:\n{}",
        log.stdout
    );
    assert_eq!(
        select(&postgres, "it s", "shop", "SELECT count(*) FROM seen").unwrap(),
        "4"
    );
}

#[test]
fn postgres_wants_a_password_or_trust() {
    let Some(()) = engine(POSTGRES) else { return };
    let refused = docker(&["run", "--rm", POSTGRES]).unwrap_err();
    assert!(
        refused.contains("set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust"),
        "{refused}"
    );
    let trusting = [
        "--env",
        "POSTGRES_HOST_AUTH_METHOD=trust",
        "--env",
        "POSTGRES_USER=ann",
        POSTGRES,
        "-c",
        "fsync=off",
    ];
    let trusting = Container::run(&trusting);
    trusting.log_until(READY, 2);
    // The database is named after the user, and nobody is asked for a password.
    assert_eq!(
        select(&trusting, "", "ann", "SELECT current_user").unwrap(),
        "ann"
    );
}

#[test]
fn postgres_reads_its_password_from_a_file_and_runs_as_any_user() {
    let Some(()) = engine(POSTGRES) else { return };
    let settings = [
        "--env",
        "POSTGRES_PASSWORD_FILE=/password",
        "--env",
        "POSTGRES_USER=ann",
        "--env",
        "PGDATA=/data/db",
    ];
    let user = ["--user", "1234:1234", "--tmpfs", "/data:uid=1234,gid=1234"];
    let postgres = Container::create(&[&settings[..], &user, &[POSTGRES]].concat());
    postgres.put("/password", 0o644, b"filed\n");
    postgres.start();
    postgres.log_until(READY, 2);
    assert_eq!(
        select(&postgres, "filed", "ann", "SHOW data_directory").unwrap(),
        "/data/db"
    );
    assert_eq!(postgres.exec(&["id", "-u"]).unwrap(), "1234");
}

#[test]
fn postgres_stops_at_an_init_file_that_fails() {
    let Some(()) = engine(POSTGRES) else { return };
    let postgres = Container::create(&["--env", "POSTGRES_PASSWORD=x", POSTGRES]);
    postgres.put("/docker-entrypoint-initdb.d/1.sql", 0o644, b"nonsense;");
    postgres.start();
    assert_ne!(docker(&["wait", postgres.id()]).unwrap(), "0");
    let log = postgres.log_until("syntax error", 1);
    assert_eq!(log.stderr.matches(READY).count(), 0, "{}", log.stderr);
}

#[test]
fn postgres_runs_other_commands_as_they_are() {
    let Some(()) = engine(POSTGRES) else { return };
    assert!(
        docker(&["run", "--rm", POSTGRES, "--version"])
            .unwrap()
            .starts_with("postgres (PostgreSQL) 15.")
    );
    assert_eq!(
        docker(&["run", "--rm", POSTGRES, "id", "-un"]).unwrap(),
        "root"
    );
}

#[test]
fn redis_takes_flags_and_serves_others_without_a_password() {
    let Some(()) = engine(REDIS) else { return };
    let redis = Container::run(&[REDIS, "redis-server", "--save", "", "--appendonly", "yes"]);
    redis.log_until("Ready to accept connections", 1);
    let from_outside = |command| {
        redis
            .exec(&[
                "sh",
                "-c",
                &format!("redis-cli -h $(hostname -i) {command}"),
            ])
            .unwrap()
    };
    assert_eq!(from_outside("set key value"), "OK");
    assert_eq!(from_outside("config get save"), "save");
    assert_eq!(from_outside("config get dir"), "dir\n/data");
    assert_eq!(redis.user_of_first_process(), "redis");
    docker(&["stop", "--time", "60", redis.id()]).unwrap();
    assert_eq!(redis.inspect("{{.State.ExitCode}}"), "0");
    redis.start();
    redis.log_until("Ready to accept connections", 2);
    assert_eq!(from_outside("get key"), "value");
}

#[test]
fn redis_takes_bare_flags_and_a_configuration_file() {
    let Some(()) = engine(REDIS) else { return };
    let flags = Container::run(&[REDIS, "--requirepass", "secret"]);
    flags.log_until("Ready to accept connections", 1);
    assert!(
        flags
            .exec(&["redis-cli", "ping"])
            .unwrap()
            .contains("NOAUTH")
    );
    assert_eq!(
        flags
            .exec(&["redis-cli", "--no-auth-warning", "-a", "secret", "ping"])
            .unwrap(),
        "PONG"
    );

    let configured = Container::create(&[REDIS, "redis-server", "/etc/own.conf"]);
    configured.put(
        "/etc/own.conf",
        0o644,
        b"maxmemory 10mb\nprotected-mode yes\n",
    );
    configured.start();
    configured.log_until("Ready to accept connections", 1);
    assert_eq!(
        configured
            .exec(&["redis-cli", "config", "get", "maxmemory"])
            .unwrap(),
        "maxmemory\n10485760"
    );
    // What the file says of protected mode stands.
    let outside = configured
        .exec(&["sh", "-c", "redis-cli -h $(hostname -i) ping"])
        .unwrap();
    assert!(outside.contains("DENIED"), "{outside}");
}

#[test]
fn web_serves_its_directory_logs_and_tells_its_health() {
    let Some(()) = engine(WEB) else { return };
    let web = Container::create(&[WEB]);
    web.put("/usr/share/nginx/html/own.txt", 0o644, b"own");
    web.start();
    web.log_until("start worker process ", 1);
    let network = format!("container:{}", web.id());
    let get = |path: &str| {
        let url = format!("http://127.0.0.1{path}");
        docker(&[
            "run",
            "--rm",
            "--network",
            &network,
            BUSYBOX,
            "wget",
            "-q",
            "-O",
            "-",
            &url,
        ])
    };
    assert_eq!(get("/own.txt").unwrap(), "own");
    assert_eq!(get("/healthz").unwrap(), "ok");
    web.exec(&["touch", "/run/unhealthy"]).unwrap();
    let unwell = get("/healthz").unwrap_err();
    assert!(unwell.contains("503"), "{unwell}");
    let log = web.log_until("GET /healthz HTTP/1.1\" 503", 1);
    assert!(
        log.stdout.contains("GET /own.txt HTTP/1.1\" 200"),
        "{}",
        log.stdout
    );
    docker(&["stop", "--time", "60", web.id()]).unwrap();
    assert_eq!(web.inspect("{{.State.ExitCode}}"), "0");
}

#[test]
fn busybox_has_the_usual_applets() {
    let Some(()) = engine(BUSYBOX) else { return };
    let applets = [
        "sh", "sleep", "printenv", "wget", "httpd", "nslookup", "nc", "cat", "kill",
    ];
    let found = docker(&[&["run", "--rm", BUSYBOX, "which"][..], &applets].concat()).unwrap();
    assert_eq!(found.lines().count(), applets.len(), "{found}");
    let printenv = |name| docker(&["run", "--rm", "--env", "KEY=a b", BUSYBOX, "printenv", name]);
    assert_eq!(printenv("KEY").unwrap(), "a b");
    assert!(printenv("OTHER").is_err());
}
