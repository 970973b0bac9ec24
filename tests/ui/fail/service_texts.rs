//! Holes in texts that the macro can look up.

use clnrm::ServiceHandle;

#[clnrm::service(image = "db:1", port = 5432)]
struct Db(ServiceHandle);

#[clnrm::service(image = "a:1", port(api = 1), env(
    A = "{bd.url}",
    B = "{db}",
    C = "{handle.url}",
    D = "{port.apo}",
    E = "{nmae}",
    F = "{",
    G = "}",
    H = "{a b}",
))]
struct Web { handle: ServiceHandle, db: Db }

#[clnrm::service(program = "a", args = ["{port}", "{host.api}", "{db.url}"], env(A = "{}"))]
struct Alone { handle: ServiceHandle }

#[clnrm::service(image = "a:1", port = 1, exports(a = "{db.url}", b = "{user}"))]
struct Exports { handle: ServiceHandle, db: Db }
