//! Structs that are no service.

use clnrm::ServiceHandle;

#[clnrm::service(image = "db:1", port = 5432)]
struct Db(ServiceHandle);

#[clnrm::service(image = "a:1")]
struct Generic<T>(ServiceHandle, T);

#[clnrm::service(image = "a:1")]
struct Borrowed<'a> { handle: &'a ServiceHandle }

#[clnrm::service(image = "a:1")]
struct Tuple(ServiceHandle, Db);

#[clnrm::service(image = "a:1")]
struct Reserved { handle: ServiceHandle, port: Db, host: Db }

#[clnrm::service(image = "a:1")]
struct Conditional { handle: ServiceHandle, #[cfg(unix)] db: Db }

#[clnrm::service(image = "a:1")]
enum NoStruct { A }

#[clnrm::service(image = "a:1")]
fn no_struct() {}

#[clnrm::service(image = "a:1")]
struct OtherName { server: Option<ServiceHandle>, db: Db }

#[clnrm::service(image = "a:1")]
struct TwoHandles { handle: ServiceHandle, other: Option<ServiceHandle> }

#[clnrm::service(image = "a:1")]
struct Boxed { handle: ServiceHandle, db: Option<Box<Db>> }
