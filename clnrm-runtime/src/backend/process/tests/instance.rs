//! What is particular to processes: environment, ports, families, directories.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::io::AsyncReadExt as _;

use super::{Bed, SERVER, connect, lives, perl, port, refused, until};
use crate::backend::{Backend, State};
use crate::service::{File, MAIN_PORT, Port, Stop, Template, Var};

#[tokio::test]
async fn the_environment_is_what_the_spec_says_and_little_more() {
    let bed = Bed::new().await;
    let mut spec = perl(
        r#"print "$_=$ENV{$_}\n" for sort keys %ENV; print "args=@ARGV\n""#,
        &["main", "admin"],
    );
    spec.vars.insert("user".to_owned(), Var::plain("ann"));
    spec.env.insert(
        "EVERYWHERE".to_owned(),
        "{user}@{host}:{port.admin}".parse().unwrap(),
    );
    let process = spec.process.as_mut().unwrap();
    process.env.insert(
        "HERE".to_owned(),
        "{name} {db.url} {data_dir}".parse().unwrap(),
    );
    process.args.push(Template::literal("{braces}"));
    let (id, started) = bed.start(spec, Path::new("/usr/bin/perl")).await;
    assert_eq!(bed.exit(&id).await, 0);
    let dir = bed.dir(&id);
    let dir = dir.display();
    let (main, admin) = (port(&started), started.endpoints["admin"].port);
    let texts = bed.texts(&id).await;
    let ours: Vec<_> = texts
        .iter()
        .filter(|text| !text.starts_with("CLNRM_"))
        .collect();
    assert_eq!(
        ours,
        [
            &format!("EVERYWHERE=ann@127.0.0.1:{admin}"),
            &format!("HERE=it postgres://there {dir}/data"),
            &format!("HOME={dir}"),
            "LANG=C.UTF-8",
            "PATH=/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            &format!("TMPDIR={dir}/tmp"),
            &format!("args={main} {{braces}}"),
        ]
    );
    bed.end().await;
}

#[tokio::test]
async fn a_template_that_names_nothing_is_told_at_the_start() {
    let bed = Bed::new().await;
    let mut spec = perl("", &[]);
    spec.env
        .insert("X".to_owned(), "{nope.url}".parse().unwrap());
    let request = bed.request("it", spec, Path::new("/usr/bin/perl"));
    let id = bed.backend.create(&request).await.unwrap();
    let error = refused(bed.backend.start(&id).await);
    assert_eq!(
        error.report(),
        "cannot render `X` of `it`: nothing is called `nope.url` in `{nope.url}`"
    );
    bed.end().await;
}

#[tokio::test]
async fn a_port_that_was_asked_for_is_given() {
    let bed = Bed::new().await;
    let asked = crate::backend::process::port::reserve().unwrap();
    let mut spec = perl(SERVER, &["main"]);
    let main = spec.ports.get_mut(MAIN_PORT).unwrap();
    *main = Port {
        host: Some(asked),
        ..*main
    };
    let (_, started) = bed.start(spec, Path::new("/usr/bin/perl")).await;
    assert_eq!(port(&started), asked);
    connect(asked).await;
    bed.end().await;
}

#[tokio::test]
async fn a_port_that_was_asked_for_and_is_taken_is_an_error_that_names_the_holder() {
    let bed = Bed::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let asked = listener.local_addr().unwrap().port();
    let mut spec = perl(SERVER, &["main"]);
    let main = spec.ports.get_mut(MAIN_PORT).unwrap();
    *main = Port {
        host: Some(asked),
        ..*main
    };
    let request = bed.request("it", spec, Path::new("/usr/bin/perl"));
    let error = refused(bed.backend.create(&request).await);
    assert_eq!(error.message(), format!("port {asked} is taken"));
    assert!(!error.is_transient());
    let holder = error.context("held by").unwrap();
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    assert!(bed.backend.list(bed.run.id()).await.unwrap().is_empty());
    bed.end().await;
}

#[tokio::test]
async fn a_port_of_ours_that_somebody_took_is_worth_another_attempt() {
    let bed = Bed::new().await;
    // It takes the port itself, in another process, before it binds it.
    let thief = SERVER.replace(
        "$| = 1;",
        r#"$| = 1;
        my $t = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 8, ReuseAddr => 1);
        if (!fork) { sleep 60; exit }"#,
    );
    let (id, started) = bed.perl(&thief, &["main"]).await;
    assert_ne!(bed.exit(&id).await, 0);
    let error = bed.backend.explain_exit(&id).await.unwrap();
    assert_eq!(error.message(), format!("port {} is taken", port(&started)));
    assert!(error.is_transient());
    bed.end().await;
}

#[tokio::test]
async fn a_server_that_cannot_bind_a_reserved_port_gets_another_kind() {
    let bed = Bed::new().await;
    let shy = SERVER.replace("ReuseAddr => 1", "ReuseAddr => 0");
    let (id, _) = bed.perl(&shy, &["main"]).await;
    assert_ne!(bed.exit(&id).await, 0);
    assert!(bed.backend.explain_exit(&id).await.unwrap().is_transient());
    let (id, started) = bed.perl(&shy, &["main"]).await;
    connect(port(&started)).await;
    assert!(bed.backend.owns_port(&id, port(&started)).await.unwrap());
    bed.end().await;
}

#[tokio::test]
async fn an_exit_for_another_reason_is_not_explained() {
    let bed = Bed::new().await;
    let (id, _) = bed.perl("die 'no such thing'", &["main"]).await;
    bed.exit(&id).await;
    assert!(bed.backend.explain_exit(&id).await.is_none());
    bed.end().await;
}

#[tokio::test]
async fn who_answers_on_a_port_is_told_from_a_stranger() {
    let bed = Bed::new().await;
    // The child listens, in a session of its own, as servers' workers may.
    let worker = SERVER.replace(
        "$| = 1;",
        "$| = 1; use POSIX (); if (fork) { sleep 60; exit } POSIX::setsid();",
    );
    for script in [SERVER, &worker] {
        let (id, started) = bed.perl(script, &["main"]).await;
        let port = port(&started);
        connect(port).await;
        assert!(bed.backend.owns_port(&id, port).await.unwrap());
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = stranger.local_addr().unwrap().port();
        assert!(!bed.backend.owns_port(&id, port).await.unwrap());
    }
    let free = crate::backend::process::port::reserve().unwrap();
    let (id, _) = bed.perl(SERVER, &["main"]).await;
    assert!(!bed.backend.owns_port(&id, free).await.unwrap());
    bed.end().await;
}

#[tokio::test]
async fn a_restart_keeps_ports_and_data() {
    let bed = Bed::new().await;
    let script = format!(r#"open F, ">>data/starts"; print F "x"; close F; {SERVER}"#);
    let (id, started) = bed.perl(&script, &["main"]).await;
    for starts in [1, 2, 3] {
        let mut text = String::new();
        connect(port(&started))
            .await
            .read_to_string(&mut text)
            .await
            .unwrap();
        assert_eq!(text, "hello\n");
        assert_eq!(
            bed.backend
                .copy_out(&id, "data/starts")
                .await
                .unwrap()
                .len(),
            starts
        );
        let again = bed.backend.restart(&id, Stop::default()).await.unwrap();
        assert_eq!(again, started);
    }
    bed.end().await;
}

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let bed = Bed::new().await;
    let (id, started) = bed.perl(SERVER, &["main"]).await;
    let before = bed.backend.inspect(&id).await.unwrap();
    assert_eq!(bed.backend.start(&id).await.unwrap(), started);
    assert_eq!(bed.backend.inspect(&id).await.unwrap(), before);
    bed.end().await;
}

#[tokio::test]
async fn whoever_detaches_ends_with_the_instance() {
    let bed = Bed::new().await;
    let script = r#"
        use POSIX (); $| = 1;
        if (!fork) { POSIX::setsid(); if (!fork) { close STDOUT; close STDERR; sleep 600 } sleep 600 }
        sleep 600
    "#;
    let (id, _) = bed.perl(script, &[]).await;
    let pid = bed.backend.inspect(&id).await.unwrap().pid.unwrap();
    let family = until("the grandchild", async || {
        let family = crate::backend::process::family::of(pid);
        (family.len() == 3).then_some(family)
    })
    .await;
    bed.backend.stop(&id, Stop::default()).await.unwrap();
    until("their end", async || {
        let left = family.iter().any(|pid| lives(&pid.to_string()));
        (!left).then_some(())
    })
    .await;
    assert!(matches!(
        bed.backend.inspect(&id).await.unwrap().state,
        State::Exited { .. }
    ));
    bed.end().await;
}

#[tokio::test]
async fn a_command_runs_in_the_instances_environment_and_directory() {
    let bed = Bed::new().await;
    let mut spec = perl(SERVER, &["main"]);
    spec.env
        .insert("COLOUR".to_owned(), "green".parse().unwrap());
    let (id, _) = bed.start(spec, Path::new("/usr/bin/perl")).await;
    let command = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
    let output = bed
        .backend
        .exec(&id, &command("pwd; echo $COLOUR; echo no >&2"))
        .await
        .unwrap();
    assert_eq!(
        output.stdout_text(),
        format!("{}\ngreen\n", bed.dir(&id).display())
    );
    assert_eq!(output.stderr, b"no\n");
    // What it leaves neither holds the pipes nor lives on.
    let output = bed
        .backend
        .exec(&id, &command("sleep 600 & echo $!"))
        .await
        .unwrap();
    let pid = output.stdout_text();
    until("the end of what it left", async || {
        (!lives(pid.trim())).then_some(())
    })
    .await;
    let error = refused(bed.backend.exec(&id, &["clnrm-no-such".to_owned()]).await);
    assert_eq!(error.message(), "there is no command `clnrm-no-such`");
    bed.end().await;
}

#[tokio::test]
async fn files_are_there_before_the_start() {
    let bed = Bed::new().await;
    let mut spec = perl(r#"open F, "<", "conf/it.conf"; print <F>"#, &[]);
    let file = |path: &str| File {
        path: path.to_owned(),
        contents: "listen on\n".to_owned(),
        mode: 0o640,
    };
    spec.process.as_mut().unwrap().files = vec![file("conf/it.conf")];
    let (id, _) = bed.start(spec.clone(), Path::new("/usr/bin/perl")).await;
    bed.exit(&id).await;
    assert_eq!(bed.texts(&id).await, ["listen on"]);
    let mode = fs::metadata(bed.dir(&id).join("conf/it.conf"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    spec.process.as_mut().unwrap().files = vec![file("../outside")];
    let request = bed.request("it", spec, Path::new("/usr/bin/perl"));
    let error = refused(bed.backend.create(&request).await);
    assert!(
        error.message().contains("`../outside` is not inside"),
        "{error}"
    );
    bed.end().await;
}

#[tokio::test]
async fn the_log_is_whole_as_soon_as_the_exit_is_seen() {
    let bed = Bed::new().await;
    for _ in 0..10 {
        let (id, _) = bed
            .perl(r#"print "$_\n" for 1..9000; print "last words\n""#, &[])
            .await;
        // No pause: the exit is to be seen before the log has all of it.
        while bed.backend.inspect(&id).await.unwrap().pid.is_some() {
            tokio::task::yield_now().await;
        }
        let texts = bed.texts(&id).await;
        assert_eq!(texts.len(), 9001, "{:?}", texts.last());
    }
    bed.end().await;
}

#[tokio::test]
async fn the_directory_is_for_nobody_else() {
    let bed = Bed::new().await;
    let (id, _) = bed.perl(SERVER, &["main"]).await;
    let root = rustix::process::geteuid().is_root();
    for (path, expected) in [
        (bed.dir(&id), if root { 0o711 } else { 0o700 }),
        (bed.dir(&id).join("data"), 0o700),
    ] {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, expected, "{}", path.display());
    }
    assert!(
        bed.dir(&id)
            .join("data/.s.PGSQL.65535.lock")
            .as_os_str()
            .len()
            < 100
    );
    bed.end().await;
}

#[tokio::test]
async fn stats_count_the_whole_family() {
    let bed = Bed::new().await;
    let script = r#"$| = 1; my $x = "x" x 30_000_000; if (!fork) { my $y = 0; $y += $_ for 1..3_000_000; print "ready\n"; sleep 600 } sleep 600"#;
    let (id, _) = bed.perl(script, &[]).await;
    bed.said(&id, "ready").await;
    let stats = bed.backend.stats(&id).await.unwrap();
    assert!(stats.memory > 30_000_000, "{stats:?}");
    assert!(!stats.cpu.is_zero(), "{stats:?}");
    bed.end().await;
}

#[tokio::test]
async fn a_keeper_that_is_gone_does_not_stop_a_removal() {
    let bed = Bed::new().await;
    let (id, _) = bed.perl(SERVER, &["main"]).await;
    let pid = bed
        .backend
        .inspect(&id)
        .await
        .unwrap()
        .pid
        .unwrap()
        .to_string();
    let keeper = rustix::process::Pid::from_raw(i32::try_from(bed.keeper.pid()).unwrap()).unwrap();
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).unwrap();
    bed.keeper.died().await;
    bed.backend.stop(&id, Stop::default()).await.unwrap();
    bed.backend.remove(&id).await.unwrap();
    assert!(!bed.dir(&id).exists());
    until("the end of the process", async || {
        (!lives(&pid)).then_some(())
    })
    .await;
    drop(bed.backend);
    bed.run.end().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_start_at_once() {
    let bed = Bed::new().await;
    let begun = std::time::Instant::now();
    let starts = (0..32).map(|_| bed.perl(SERVER, &["main"]));
    let started = futures_util::future::join_all(starts).await;
    for (id, started) in &started {
        connect(port(started)).await;
        assert!(bed.backend.owns_port(id, port(started)).await.unwrap());
    }
    println!("32 answered in {:?}", begun.elapsed());
    bed.end().await;
}
