//! Signatures that no test has.
#![allow(unused)]

use clnrm::ServiceHandle;

#[clnrm::service(image = "db:1")]
struct Db(ServiceHandle);

#[clnrm::test]
fn generic<T>(db: Db) where T: Clone {}

#[clnrm::test]
fn lifetime<'a>(db: &'a Db) {}

#[clnrm::test]
fn eternal(db: &'static Db) {}

#[clnrm::test]
fn exclusive(db: &mut Db) {}

#[clnrm::test]
fn twice_borrowed(db: &&Db) {}

#[clnrm::test]
fn option_of_reference(db: Option<&Db>) {}

#[clnrm::test]
fn some_trait(db: impl Clone) {}

#[clnrm::test]
fn without_a_size(name: &str, list: &[Db], store: &dyn Send) {}

#[clnrm::test]
fn pattern(Db(handle): Db, [a, b]: [Db; 2], ref c: Db) {}

#[clnrm::test]
const fn constant() {}

#[clnrm::test]
unsafe fn unsafely() {}

#[clnrm::test]
extern "C" fn foreign() {}

struct Group;
impl Group {
    #[clnrm::test]
    fn method(&self, db: Db) {}
}

#[clnrm::test]
fn too_many(a: Db, b: Db, c: Db, d: Db, e: Db, f: Db, g: Db, h: Db, i: Db, j: Db, k: Db, l: Db, m: Db) {}

#[clnrm::test]
#[should_panic]
fn panics_and_returns(db: Db) -> Result<(), String> {
    Ok(())
}

#[clnrm::test]
#[cfg_attr(unix, should_panic)]
fn panics_sometimes() {}

#[clnrm::test]
#[test]
fn two_tests_in_one() {}

#[clnrm::test]
#[cfg_attr(unix, tokio::test)]
async fn two_tests_in_one_sometimes() {}

#[clnrm::test]
fn needs_sometimes(#[cfg(unix)] db: Db) {}

#[clnrm::test]
#[test_case::test_case(1)]
fn cases(db: Db, number: u8) {}

#[clnrm::test]
#[cfg_attr(unix, rstest)]
fn cases_sometimes(db: Db) {}

#[clnrm::test]
struct NoFunction;
