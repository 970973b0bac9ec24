//! Images: local first, mapped, refused word for word, and asked for once.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::World;
use super::world::{BUSYBOX, image};
use crate::backend::docker::images::{PullPolicy, PullProgress, probe};
use crate::plan::ImageProbe;

fn mapping(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_image_is_used_under_its_mapped_name() {
    let Some(world) = World::open().await else {
        return;
    };
    let images = [image("busybox:1"), image(BUSYBOX), image("absent:9")];
    let mapping = mapping(&[("busybox:1", BUSYBOX), ("absent:*", "clnrm-test/absent:*")]);
    let silent = |progress: PullProgress| panic!("pulled {progress:?}");
    let found = probe(
        &world.backend,
        &images,
        &mapping,
        PullPolicy::Never,
        &silent,
    )
    .await;
    let present = ImageProbe::Present {
        name: BUSYBOX.to_owned(),
        pulled: None,
    };
    assert_eq!(found["busybox:1"], present);
    assert_eq!(found[BUSYBOX], present);
    assert_eq!(
        found["absent:9"],
        ImageProbe::Missing {
            name: "clnrm-test/absent:9".to_owned(),
            reason: "nothing is pulled offline".to_owned(),
        }
    );
}

/// A registry on a port of ours where nobody listens.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_pull_is_told_in_the_engines_words_and_not_repeated() {
    let Some(world) = World::open().await else {
        return;
    };
    let port = crate::backend::process::port::reserve().unwrap();
    let images = [image(&format!("127.0.0.1:{port}/team/app:1"))];
    let seen = Mutex::new(Vec::new());
    let progress = |progress| seen.lock().unwrap().push(progress);
    for _ in 0..2 {
        let found = probe(
            &world.backend,
            &images,
            &BTreeMap::new(),
            PullPolicy::MissingUnlessSlow {
                stall: std::time::Duration::from_secs(30),
            },
            &progress,
        )
        .await;
        let ImageProbe::Missing { name, reason } = &found[&images[0].to_string()] else {
            panic!("{found:?}")
        };
        assert_eq!(*name, images[0].to_string());
        assert!(reason.contains("connection refused"), "{reason}");
    }
    let seen = seen.into_inner().unwrap();
    let finished = seen.iter().filter(|progress| progress.finished).count();
    assert_eq!(finished, 1, "{seen:?}");
}
