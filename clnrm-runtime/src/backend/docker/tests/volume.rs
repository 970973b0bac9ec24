//! Row S1-11 and what else is about files: mounts, volumes, copies.

use bytes::Bytes;

use super::world::{container, script, spec, template};
use super::{NOW, World};
use crate::backend::{Backend, State};
use crate::service::{File, Volume, Wait};
use crate::wait::backoff::Backoff;

const SLEEP: &str = "exec sleep 600";

/// S1-11.
#[tokio::test(flavor = "multi_thread")]
async fn mounts_are_read_only_where_they_say_so() {
    let Some(world) = World::open().await else {
        return;
    };
    let host = tempfile::TempDir::new().unwrap();
    std::fs::write(host.path().join("seed"), "from the host").unwrap();
    let mut spec = script(SLEEP);
    let bind = |path: &str, read_only| Volume::Bind {
        host: host.path().to_owned(),
        path: path.to_owned(),
        read_only,
    };
    container(&mut spec).volumes = vec![
        bind("/read", true),
        bind("/write", false),
        Volume::Tmpfs {
            path: "/memory".to_owned(),
        },
        Volume::Anonymous {
            path: "/own".to_owned(),
        },
    ];
    let (id, _) = world.start("app", spec).await;
    let (text, _) = world.shell(&id, "cat /read/seed").await;
    assert_eq!(text, "from the host");
    let (_, code) = world.shell(&id, "echo x > /read/new").await;
    assert_ne!(code, 0, "a read-only mount was written to");
    assert!(!host.path().join("new").exists());
    let (_, code) = world
        .shell(&id, "echo x > /write/new && echo x > /own/new")
        .await;
    assert_eq!(code, 0);
    assert!(host.path().join("new").exists());
    let (text, _) = world.shell(&id, "grep ' /memory ' /proc/mounts").await;
    assert!(text.starts_with("tmpfs /memory tmpfs"), "{text}");
    let left = 1 + world.labelled(1);
    assert_eq!(
        world.left().await.len(),
        left,
        "the container and one volume"
    );
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_path_must_exist() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut spec = script(SLEEP);
    container(&mut spec).volumes = vec![Volume::Bind {
        host: "/no/such/path".into(),
        path: "/c".to_owned(),
        read_only: false,
    }];
    let error = world
        .backend
        .create(&world.request("app", spec))
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        "cannot create service `app`: mounted path `/no/such/path` does not exist on the host"
    );
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_there_before_the_start() {
    for world in [
        World::open().await,
        World::open_without_testcontainers().await,
    ] {
        let Some(world) = world else { return };
        let mut spec = script("cat /etc/app/deep/app.conf; cat /tmp/late; exec sleep 600");
        container(&mut spec).files = vec![File {
            path: "/etc/app/deep/app.conf".to_owned(),
            contents: "from the spec\n".to_owned(),
            mode: 0o640,
        }];
        spec.wait = Wait::All(vec![Wait::log("^from the spec$"), Wait::log("^copied in$")]);
        let request = world.request("app", spec);
        let id = world.backend.create(&request).await.unwrap();
        let late = Bytes::from_static(b"copied in\n");
        world
            .backend
            .copy_in(&id, "/tmp/late", late, 0o600)
            .await
            .unwrap();
        world.backend.start(&id).await.unwrap();
        let mut backoff = Backoff::new();
        while !world.log(&id).await.ends_with("copied in") {
            backoff.pause().await;
        }
        assert_eq!(world.log(&id).await, "from the spec\ncopied in");
        let (mode, _) = world.shell(&id, "stat -c %a /etc/app/deep/app.conf").await;
        assert_eq!(mode, "640");
        world.backend.remove(&id).await.unwrap();
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_directory_is_a_volume_when_a_template_names_it() {
    let Some(world) = World::open().await else {
        return;
    };
    let mut spec = script("echo kept > $DATA/file; exec sleep 600");
    spec.env.insert("DATA".to_owned(), template("{data_dir}"));
    container(&mut spec).data_dir = "/var/lib/app".to_owned();
    let (id, _) = world.start("app", spec).await;
    let (text, _) = world
        .shell(&id, "echo $DATA; grep -c ' /var/lib/app ' /proc/mounts")
        .await;
    assert_eq!(text, "/var/lib/app\n1");
    world.backend.restart(&id, NOW).await.unwrap();
    let (text, _) = world.shell(&id, "cat /var/lib/app/file").await;
    assert_eq!(text, "kept");
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

/// Links lead to files; directories and nothing are refused.
#[tokio::test(flavor = "multi_thread")]
async fn files_are_copied_through_links() {
    let Some(world) = World::open().await else {
        return;
    };
    let (id, _) = world
        .start(
            "app",
            script("ln -s ../etc/passwd /tmp/link; echo up; exec sleep 600"),
        )
        .await;
    let mut backoff = Backoff::new();
    while world.log(&id).await != "up" {
        backoff.pause().await;
    }
    let text = world.backend.copy_out(&id, "/tmp/link").await.unwrap();
    assert!(text.starts_with(b"root:"));
    let error = world.backend.copy_out(&id, "/etc").await.unwrap_err();
    assert!(error.message().contains("it is a directory"), "{error}");
    let none = Bytes::new();
    let error = world
        .backend
        .copy_in(&id, "/no/dir/file", none, 0o644)
        .await;
    assert!(
        error
            .unwrap_err()
            .message()
            .contains("cannot write `/no/dir/file`")
    );
    assert_eq!(world.state(&id).await, State::Running);
    world.backend.remove(&id).await.unwrap();
    world.close().await;
}

/// What the image itself declares as a volume carries our label too.
#[tokio::test(flavor = "multi_thread")]
async fn volumes_of_the_image_are_labelled_and_removed() {
    let Some(world) = World::open().await else {
        return;
    };
    let image = world.image_with("VOLUME /image-volume").await;
    let mut spec = spec(&image);
    container(&mut spec).command = Some(["sleep", "600"].map(template).to_vec());
    let (id, _) = world.start("app", spec).await;
    let left = world.left().await;
    assert_eq!(left.len(), 1 + world.labelled(1), "{left:?}");
    assert!(left.iter().skip(1).all(|line| line.starts_with("volume ")));
    world.backend.remove(&id).await.unwrap();
    world.remove_image(&image).await;
    world.close().await;
}
