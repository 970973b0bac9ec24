//! A download that is given up half-way.

use super::*;

#[tokio::test]
async fn an_unpacking_that_is_given_up_ends_before_another_begins() {
    let files: Vec<_> = (0..400)
        .map(|n| format!("clnrm_wheel/share/{n}/data.txt"))
        .collect();
    let extra: Vec<_> = files.iter().map(|name| (name.as_str(), "data")).collect();
    let fixture = Fixture::new(&extra);
    let provisioner = fixture.provisioner();
    let unpacking = tokio::sync::Notify::new();
    let listener = |progress| {
        if matches!(progress, Progress::Unpacking { .. }) {
            unpacking.notify_one();
        }
    };
    tokio::select! {
        biased;
        done = provisioner.fetch(&fixture.provision, &listener) => {
            panic!("it was unpacked before it could be given up: {done:?}")
        }
        () = unpacking.notified() => {}
    }
    // What the next one waits for, in whichever process.
    let name = Pin::of(&fixture.provision).unwrap().name;
    let lock = fixture.cache().lock(&format!("{name}.lock"), LOCK).await;
    drop(lock.unwrap());
    assert_eq!(fixture.programs(), [name]);
    fixture.forget();
    let installed = provisioner.installed(&fixture.provision).await.unwrap();
    assert!(installed.is_some(), "it is not whole");
}
