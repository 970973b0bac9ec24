//! Tests of an example, which are built and run only where they are asked for.

fn main() {}

#[clnrm::test]
#[ignore = "it has to be asked for"]
fn fails() {
    panic!("no luck");
}

#[test]
#[ignore = "it has to be asked for"]
fn plain_and_fails() {
    panic!("no luck");
}
