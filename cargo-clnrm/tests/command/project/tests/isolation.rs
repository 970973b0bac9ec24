//! Tests that collide wherever they can see each other: the same key, the same row, at the same time.

use clnrm::postgres::Postgres;
use clnrm::redis::Redis;
use sample::Held;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Writes, waits until every other test has written too, and looks at what is there.
async fn is_alone(name: &str, db: &Postgres, cache: &Redis) -> Outcome {
    let client = db.connect().await?;
    client
        .batch_execute("CREATE TABLE same (id int PRIMARY KEY, owner text)")
        .await?;
    let insert = "INSERT INTO same VALUES (1, $1)";
    client.execute(insert, &[&name]).await?;
    let mut keys = cache.client()?.get_connection()?;
    redis::cmd("SET").arg("same").arg(name).exec(&mut keys)?;
    redis::cmd("INCR").arg("count").exec(&mut keys)?;

    let held = Held::new(name)?;
    tokio::task::spawn_blocking(|| held.wait()).await??;

    let rows = client.query("SELECT owner FROM same", &[]).await?;
    let owners: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(owners, [name]);
    let owner: String = redis::cmd("GET").arg("same").query(&mut keys)?;
    let count: u32 = redis::cmd("GET").arg("count").query(&mut keys)?;
    let mut there: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut keys)?;
    there.sort();
    assert_eq!((owner.as_str(), count), (name, 1));
    assert_eq!(there, ["count", "same"]);
    Ok(())
}

#[clnrm::test]
async fn one(db: Postgres, cache: Redis) -> Outcome {
    is_alone("one", &db, &cache).await
}

#[clnrm::test]
async fn two(db: Postgres, cache: Redis) -> Outcome {
    is_alone("two", &db, &cache).await
}

#[clnrm::test]
async fn three(db: Postgres, cache: Redis) -> Outcome {
    is_alone("three", &db, &cache).await
}

#[clnrm::test]
async fn four(db: Postgres, cache: Redis) -> Outcome {
    is_alone("four", &db, &cache).await
}

#[clnrm::test]
async fn five(db: Postgres, cache: Redis) -> Outcome {
    is_alone("five", &db, &cache).await
}

#[clnrm::test]
async fn six(db: Postgres, cache: Redis) -> Outcome {
    is_alone("six", &db, &cache).await
}

#[clnrm::test]
async fn seven(db: Postgres, cache: Redis) -> Outcome {
    is_alone("seven", &db, &cache).await
}

#[clnrm::test]
async fn eight(db: Postgres, cache: Redis) -> Outcome {
    is_alone("eight", &db, &cache).await
}
