//! What a test may be given besides services, whatever it is called.

use clnrm::{Fixture, Result};

#[clnrm::service(image = "db:1", port = 1)]
struct Db(clnrm::ServiceHandle);

trait Store: Send {
    fn url(&self) -> Result<String>;
}

impl Store for Db {
    fn url(&self) -> Result<String> {
        self.0.url()
    }
}

/// The store behind its trait.
impl Fixture for Box<dyn Store> {
    type Needs = Db;

    async fn set_up(db: Db) -> Result<Self> {
        Ok(Box::new(db))
    }
}

#[clnrm::test]
#[ignore = "it is enough that it compiles"]
fn in_a_box(store: Box<dyn Store>, same: &Option<Box<dyn Store>>) -> Result<()> {
    assert!(same.is_some() && !store.url()?.is_empty());
    Ok(())
}

mod own {
    use super::*;

    pub struct Arc<T>(pub T);
    pub struct ServiceHandle;

    impl Fixture for Arc<Db> {
        type Needs = Db;

        async fn set_up(db: Db) -> Result<Self> {
            Ok(Self(db))
        }
    }

    impl Fixture for ServiceHandle {
        type Needs = ();

        async fn set_up(_: ()) -> Result<Self> {
            Ok(Self)
        }
    }
}

#[clnrm::test]
#[ignore = "it is enough that it compiles"]
fn of_its_own(db: own::Arc<Db>, _: own::ServiceHandle) {
    assert!(db.0.url().is_ok());
}

/// A fixture lives as long as its test: what borrows, borrows for ever.
struct App<'a> {
    name: &'a str,
}

impl Fixture for App<'static> {
    type Needs = ();

    async fn set_up(_: ()) -> Result<Self> {
        Ok(Self { name: "app" })
    }
}

#[clnrm::test]
fn that_borrows(app: App<'_>) {
    assert_eq!(app.name, "app");
}
