//! A library that declares services for the tests of its users.

use clnrm::{Running, ServiceHandle};

/// A container.
#[derive(Debug)]
#[clnrm::service(image = "mail:1", port(smtp = 25, http = 80), exports(admin = "http://{host}:{port.http}"))]
pub struct Mail(ServiceHandle);

/// Services that this crate never uses: no warning either.
#[clnrm::service(image = "unused:1")]
struct Unused(ServiceHandle);

#[clnrm::service(program = "worker", env(ADMIN = "{mail.admin}", QUEUE = "{queue.url}"))]
struct Worker {
    mail: Mail,
    queue: Option<Running<Queue>>,
}

#[clnrm::service(program = "cron")]
struct Cron;

/// A field whose name is a keyword goes by it in a text.
#[clnrm::service(program = "site", args = ["{type.admin}"], env(TYPE = "{type.url}"))]
struct Site {
    r#type: Mail,
}

#[clnrm::service(Queue::default().with_level(7), name = "fast-queue")]
struct FastQueue(Running<Queue>);

#[cfg(any())]
#[clnrm::service(image = "never:1")]
struct NotHere(Missing);

#[clnrm::service(image = "never:1")]
#[cfg(any())]
struct NotHereEither(Missing);

/// A plugin.
#[derive(Debug, Clone, clnrm::ServicePlugin)]
#[plugin(type = "queue", program = "queued", args = ["{level}"], port = 7000, ready(plugin = answers))]
pub struct Queue {
    #[plugin(env = "LEVEL", default = 3)]
    level: u8,
    token: Option<String>,
}

fn answers(_: &Queue, handle: &ServiceHandle) -> clnrm::Result<()> {
    handle.port().map(|_| ())
}

/// A plugin without settings.
#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "clock", image = "clock:1")]
pub struct Clock;

/// Macros may pass a declaration on.
macro_rules! container {
    ($name:ident, $image:literal, $handle:ty) => {
        #[clnrm::service(image = $image, port = 1, env(SELF = "{name}"))]
        #[doc = "By a macro."]
        pub struct $name {
            handle: $handle,
        }
    };
}
container!(Generated, "generated:1", clnrm::ServiceHandle);

pub mod inner {
    //! Names may repeat in another module.

    /// The other one.
    #[clnrm::service(image = "mail:2")]
    pub struct Mail(clnrm::ServiceHandle);
}
