//! A service of any kind in a container: what its configuration says reaches it.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use clnrm::ServicePlugin;
use clnrm::service::Wait;
use serde_json::json;

use crate::engine::{docker, engine_or_skip, inspect};

const COMMAND: [&str; 3] = ["nginx", "-g", "daemon off; env GREETING;"];

#[tokio::test]
async fn what_a_generic_service_is_told_reaches_its_container() {
    engine_or_skip!();
    let site = tempfile::tempdir().unwrap();
    // The server there is another user.
    fs::set_permissions(site.path(), Permissions::from_mode(0o755)).unwrap();
    fs::write(site.path().join("index.html"), "from the host").unwrap();
    let plugin = clnrm::generic::plugin("clnrm-test/web:1")
        .named("site")
        .port(80)
        .env("GREETING", "hello, {name}")
        .volume(format!(
            "{}:/usr/share/nginx/html:ro",
            site.path().display()
        ))
        .command(COMMAND)
        .healthcheck(
            ["test", "!", "-e", "/run/unhealthy"],
            Duration::from_millis(500),
            Duration::from_secs(2),
            4,
        )
        .ready(Wait::http("/"));
    let handle = plugin.start().unwrap();
    let id = handle.container_id().unwrap();
    let inside = |words: &[&str]| docker(&[&["exec", id], words].concat());

    assert_eq!(
        inside(&["printenv", "GREETING"]),
        (true, "hello, site".to_owned())
    );
    let mut stream = TcpStream::connect((handle.host().unwrap(), handle.port().unwrap())).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.ends_with("from the host"), "{page}");
    let (written, _) = inside(&["touch", "/usr/share/nginx/html/new"]);
    assert!(!written && !site.path().join("new").exists());

    let said = inspect(id).unwrap();
    assert_eq!(said["Config"]["Cmd"], json!(COMMAND));
    let check = &said["Config"]["Healthcheck"];
    assert_eq!(
        check["Test"],
        json!(["CMD", "test", "!", "-e", "/run/unhealthy"])
    );
    assert_eq!(
        (&check["Interval"], &check["Timeout"], &check["Retries"]),
        (&json!(500_000_000), &json!(2_000_000_000_u64), &json!(4))
    );
    plugin.stop(handle).unwrap();
}
