//! Two services of one name.

use clnrm::ServiceHandle;

#[clnrm::service(image = "clnrm-test/busybox:1")]
struct Store(ServiceHandle);

mod other {
    #[clnrm::service(image = "clnrm-test/web:1", port = 80)]
    pub(crate) struct Store(clnrm::ServiceHandle);
}

#[clnrm::test]
fn duplicate(_one: Store) {}

#[clnrm::test]
fn duplicate_too(_other: other::Store) {}
