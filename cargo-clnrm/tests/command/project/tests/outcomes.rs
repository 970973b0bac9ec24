//! Tests that end in every way there is, once they are let go.

use clnrm::redis::Redis;

#[clnrm::test]
fn passes(_cache: Redis) -> std::io::Result<()> {
    sample::hold("passes")
}

#[clnrm::test]
fn fails(cache: Redis) -> std::io::Result<()> {
    sample::hold("fails")?;
    Err(std::io::Error::other(format!(
        "no luck with {}",
        cache.name()
    )))
}

#[clnrm::test]
fn panics(cache: Redis) {
    sample::hold("panics").unwrap();
    panic!("no luck with {}", cache.name());
}

#[clnrm::test]
fn aborts(_cache: Redis) {
    sample::hold("aborts").unwrap();
    std::process::abort();
}
