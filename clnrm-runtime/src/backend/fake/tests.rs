//! The fake keeps the contract, and does what its script says.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::{End, Fake, Step};
use crate::backend::contract::{self, Fixture, Recipe};
use crate::backend::{Backend, Source};
use crate::error::CleanroomError;
use crate::label::Owner;
use crate::service::{Port, RunId, Spec};

fn recipe(program: &str) -> Recipe {
    let mut spec = Spec::default();
    spec.ports.insert("main".to_owned(), Port::tcp(80));
    let source = Source::Program {
        path: PathBuf::from(format!("/fake/{program}")),
        version: None,
    };
    Recipe::new(spec, source)
}

fn fixture() -> Fixture {
    let command = |words: [&str; 2]| words.map(str::to_owned).to_vec();
    Fixture {
        run: RunId::new("0123456789abcdef"),
        other_run: Some(RunId::new("ba9876543210")),
        owner: Owner {
            boot: "boot".to_owned(),
            namespace: 1,
            uid: 2,
            pid: 3,
            started: 4,
        },
        server: recipe("server"),
        ends: recipe("ends"),
        stubborn: recipe("stubborn"),
        broken: recipe("broken"),
        says: (command(["say", "hello"]), "hello".to_owned()),
        fails: (command(["fail", "7"]), 7),
        dir: "/data".to_owned(),
        answers: false,
    }
}

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept() {
    contract::check(&Fake::default(), &fixture()).await;
}

#[tokio::test(start_paused = true)]
async fn the_contract_is_kept_when_everything_takes_its_time() {
    let fake = Fake::default();
    fake.script().chance(1, u64::MAX);
    contract::check(&fake, &fixture()).await;
}

#[tokio::test(start_paused = true)]
async fn a_stubborn_one_takes_its_grace() {
    let (fake, fixture) = (Fake::default(), fixture());
    let request = fixture.request(&fixture.stubborn);
    let id = fake.create(&request).await.unwrap();
    fake.start(&id).await.unwrap();
    let begun = Instant::now();
    fake.stop(&id, request.spec.stop).await.unwrap();
    assert_eq!(begun.elapsed(), request.spec.stop.grace);
}

#[tokio::test(start_paused = true)]
async fn a_script_is_played_and_written_down() {
    let (fake, fixture) = (Fake::default(), fixture());
    let request = fixture.request(&fixture.server);
    let script = fake.script();
    script.takes(Step::Create, "contract", Duration::from_secs(3));
    script.fails(
        Step::Create,
        "contract",
        1,
        CleanroomError::container_error("no"),
    );
    let error = fake.create(&request).await.unwrap_err();
    assert_eq!(error.message(), "no");
    assert_eq!(fake.left(), Vec::<String>::new());
    let id = fake.create(&request).await.unwrap();
    script.hangs(Step::Start, "contract");
    let hanging = tokio::time::timeout(Duration::from_secs(1), fake.start(&id));
    assert!(hanging.await.is_err());
    let seconds = script.calls().into_iter().map(|call| {
        let (ended, end) = call.ended.unwrap();
        (call.step, call.begun.as_secs(), ended.as_secs(), end)
    });
    assert_eq!(
        seconds.collect::<Vec<_>>(),
        [
            (Step::Create, 0, 3, End::Failed),
            (Step::Create, 3, 6, End::Done),
            (Step::Start, 6, 7, End::Cut),
        ]
    );
    assert_eq!(fake.left(), ["fake instance `contract-2` of `contract`"]);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_cut_leaves_what_it_made() {
    let (fake, fixture) = (Fake::default(), fixture());
    fake.script().hangs(Step::Create, "contract");
    let request = fixture.request(&fixture.server);
    let creating = fake.create(&request);
    let cut = tokio::time::timeout(Duration::from_secs(1), creating).await;
    assert!(cut.is_err());
    assert_eq!(fake.services(), ["contract"]);
    assert_eq!(fake.sweep(&fixture.run).await.unwrap(), fake_line());
}

fn fake_line() -> [&'static str; 1] {
    ["fake instance `contract-1` of `contract`"]
}
