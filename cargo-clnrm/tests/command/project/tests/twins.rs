//! Declarations that are equal but for what they are called and whose they are: each is a service of its own.

use clnrm::redis::Redis;

#[clnrm::service(clnrm::redis::plugin())]
struct One(Redis);

#[clnrm::service(clnrm::redis::plugin())]
struct Other(Redis);

#[clnrm::service(clnrm::redis::plugin(), scope = "run")]
struct OfTheRun(Redis);

/// Says one word to the server of a URL.
fn ask(url: &str, words: &[&str]) -> redis::RedisResult<Option<String>> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    redis::cmd(words[0]).arg(&words[1..]).query(&mut connection)
}

#[clnrm::test]
fn twins_are_two(one: One, other: Other) -> Result<(), Box<dyn std::error::Error>> {
    ask(&one.url()?, &["SET", "key", "one"])?;
    assert_eq!(ask(&other.url()?, &["GET", "key"])?, None);
    Ok(())
}

#[clnrm::test]
fn a_twin_of_the_run_is_the_runs(own: Redis, of_the_run: OfTheRun) -> clnrm::Result<()> {
    assert!(own.url()? != of_the_run.url()?);
    // A slice has a user of its own, and an instance that is shared whole has not.
    assert!(of_the_run.url()?.contains("//default:"));
    Ok(())
}
