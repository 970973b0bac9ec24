//! The pooled client against a real server.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

#[path = "../../support/server.rs"]
mod server;

use clnrm_postgres::{Postgres, plugin};
use clnrm_runtime::ServicePlugin;
use server::Server;

fn postgres(server: &Server) -> Postgres {
    plugin().migrate(&server.handle()).unwrap();
    Postgres::from(server.handle())
}

#[tokio::test]
async fn a_pooled_connection_is_used_again() {
    let server = Server::start(&plugin());
    let pool = postgres(&server).pool().unwrap();
    let mut pids = Vec::new();
    for _ in 0..8 {
        let client = pool.get().await.unwrap();
        pids.push(
            client
                .query_one("SELECT pg_backend_pid()", &[])
                .await
                .unwrap()
                .get::<_, i32>(0),
        );
    }
    pids.dedup();
    assert_eq!((pids.len(), pool.status().size), (1, 1));
}

#[tokio::test]
async fn a_pool_keeps_to_its_size() {
    let server = Server::start(&plugin());
    let pool = postgres(&server).pool_of(2).unwrap();
    let (one, _two) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let mut third = Box::pin(pool.get());
    // Nothing is ready before a connection comes back.
    assert!(futures_poll(&mut third).await.is_pending());
    drop(one);
    drop(third.await.unwrap());
    assert_eq!((pool.status().size, pool.status().max_size), (2, 2));
}

async fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))
    })
    .await
}
