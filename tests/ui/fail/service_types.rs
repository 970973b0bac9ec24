//! What only the types of a service's fields and of its plugin tell.

use clnrm::ServiceHandle;

#[clnrm::service(image = "db:1", port = 5432, exports(admin = "http://{host}"))]
struct Db(ServiceHandle);

#[clnrm::service(image = "job:1")]
struct Job(ServiceHandle);

#[clnrm::service(image = "a:1", env(A = "{db.ulr}", B = "{job.url}", C = "{db.admin}"))]
struct Exports { handle: ServiceHandle, db: Option<Db>, job: Job }

#[clnrm::service(image = "a:1")]
struct Twice { handle: ServiceHandle, db: Db, again: Db }

struct Pool;

#[clnrm::service(image = "a:1")]
struct NoService { handle: ServiceHandle, pool: Pool }

#[clnrm::service(image = "a:1")]
struct NoHandle(Pool);

#[clnrm::service(self::Pool {})]
struct NoPlugin(ServiceHandle);

#[clnrm::service(image = "a:1")]
struct NothingSaysWhatToRun { handle: ServiceHandle, web: clnrm::generic::Generic }

#[clnrm::service(image = "a:1")]
struct NoDerive { handle: ServiceHandle, pool: clnrm::Running<Pool>, db: Db }

#[clnrm::service(image = "a:1")]
struct NoDeriveItself(clnrm::Running<Pool>);

#[clnrm::service(image = "shop:1")]
struct Shop { handle: ServiceHandle, db: Db }

#[clnrm::service(image = "shop:1")]
struct OtherShop(Shop);

#[clnrm::service(clnrm::generic::plugin("shop:1"))]
struct ThirdShop { handle: Shop, db: Db }
