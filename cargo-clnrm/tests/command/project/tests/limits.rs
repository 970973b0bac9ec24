//! Tests that never end by themselves: in what they set up, and in their bodies.

use std::future::pending;

use clnrm::ServiceHandle;

/// A service that costs nothing.
#[clnrm::service(program = "sleep", args = ["600"])]
struct Idle(ServiceHandle);

/// What no test ever gets.
struct Never;

impl clnrm::Fixture for Never {
    type Needs = (Idle,);

    async fn set_up(_: Self::Needs) -> clnrm::Result<Self> {
        pending().await
    }
}

#[clnrm::test(timeout = "1s")]
async fn set_up_hangs(_: Never) {}

#[clnrm::test(timeout = "1s")]
async fn body_hangs(_: Idle) {
    pending().await
}

#[clnrm::test(timeout = "1s")]
fn body_blocks(_: Idle) {
    loop {
        std::thread::park();
    }
}

/// What cannot be made.
struct Broken;

impl clnrm::Fixture for Broken {
    type Needs = ();

    async fn set_up((): Self::Needs) -> clnrm::Result<Self> {
        panic!("no luck with the set-up")
    }
}

#[clnrm::test]
#[should_panic]
fn should_panic_and_is_not_set_up(_: Broken) {}
