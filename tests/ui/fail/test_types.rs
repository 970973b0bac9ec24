//! What only the types of a test's parameters tell.

use clnrm::ServiceHandle;

#[clnrm::service(image = "db:1", port = 1)]
struct Db(ServiceHandle);

type Alias = Db;

struct Pool;

#[clnrm::test]
fn no_service(pool: Pool) {
    let _ = pool;
}

#[clnrm::test]
fn no_service_in_an_option(pool: Option<Pool>) {
    let _ = pool;
}

#[clnrm::test]
fn one_service_twice(db: Db, other: &Db) {
    let _ = (db, other);
}

#[clnrm::test]
fn one_service_by_two_names(db: Option<Alias>, other: Db) {
    let _ = (db, other);
}

#[clnrm::test]
fn returns_no_result(db: Db) -> Pool {
    let _ = db;
    Pool
}

#[clnrm::test]
async fn wrong_body(db: Db) -> Result<(), String> {
    let _ = db;
    Ok(1)
}

#[clnrm::test]
fn a_tuple(both: (Db, Pool)) {
    let _ = both;
}

#[clnrm::test]
fn nothing_says_what_to_run(web: clnrm::generic::Generic) {
    let _ = web;
}

#[clnrm::test]
fn no_derive(pool: clnrm::Running<Pool>) {
    let _ = pool;
}

#[clnrm::test]
fn any_handle(db: &Option<ServiceHandle>) {
    let _ = db;
}

#[clnrm::test]
fn in_a_box(db: Box<Db>) {
    let _ = db;
}

#[clnrm::test]
fn a_second_of_each(shop: Shop, other_shop: Shop, queue: clnrm::Running<Queue>, slow: clnrm::Running<Queue>) {
    let _ = (shop, other_shop, queue, slow);
}

#[clnrm::service(image = "shop:1")]
struct Shop { handle: ServiceHandle, db: Db }

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "queue", image = "queue:1")]
struct Queue;

struct App;

impl clnrm::Fixture for App {
    type Needs = (Db, Pool);

    async fn set_up(_: Self::Needs) -> clnrm::Result<Self> {
        Ok(Self)
    }
}
