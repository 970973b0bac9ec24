//! The contract that every backend keeps.

use std::path::PathBuf;

use super::{Bed, SERVER, perl};
use crate::backend::Source;
use crate::backend::contract::{self, Fixture, Recipe};
use crate::service::Spec;

fn recipe(spec: Spec, program: &str) -> Recipe {
    let path = PathBuf::from(program);
    let version = None;
    Recipe::new(spec, Source::Program { path, version })
}

fn fixture(bed: &Bed) -> Fixture {
    let stubborn = r#"$SIG{TERM} = "IGNORE"; $| = 1; print "to stdout\n"; select undef, undef, undef, 9 while 1"#;
    let ends = r#"print STDERR "last words\n"; exit 3"#;
    let sh = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
    Fixture {
        run: bed.run.id().clone(),
        // Another run is another backend here, and another directory.
        other_run: None,
        owner: bed.run.owner().clone(),
        server: recipe(perl(SERVER, &["main"]), "/usr/bin/perl"),
        ends: recipe(perl(ends, &[]), "/usr/bin/perl"),
        stubborn: recipe(perl(stubborn, &[]), "/usr/bin/perl"),
        broken: recipe(perl("", &[]), "/nonexistent/perl"),
        says: (sh("echo hello"), "hello".to_owned()),
        fails: (sh("exit 7"), 7),
        dir: "data".to_owned(),
        answers: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    let bed = Bed::new().await;
    contract::check(&bed.backend, &fixture(&bed)).await;
    bed.end().await;
}
