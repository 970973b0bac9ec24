//! `ready(…)`.

use clnrm::ServiceHandle;

#[clnrm::service(image = "a:1", port = 1, ready())]
struct Nothing(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, ready = "tcp")]
struct Text(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, ready(htpt = "/h"))]
struct Misspelt(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, ready(http = "healthz"))]
struct Relative(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, ready(http = "/h", status = 20, body = "("))]
struct Details(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, ready(port = "main", http = "/h"))]
struct DetailFirst(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, ready(tcp, count = 2, status = 200))]
struct DetailOfAnother(ServiceHandle);

#[clnrm::service(image = "a:1", port(api = 1, admin = 2), ready(http = "/h", port = "apo"))]
struct NoSuchPort(ServiceHandle);

#[clnrm::service(image = "a:1", ready(tcp))]
struct NoPort(ServiceHandle);

#[clnrm::service(image = "a:1", ready(log = "a(b", count = 0, stream = "stdin"))]
struct Log(ServiceHandle);

#[clnrm::service(image = "a:1", ready(exec = []))]
struct Exec(ServiceHandle);

#[clnrm::service(program = "a", ready(healthcheck))]
struct Healthcheck(ServiceHandle);

#[clnrm::service(program = "a", ready(plugin))]
struct Plugin(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, ready(any(), all(timeout = "1s")))]
struct Groups(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, ready(tcp, timeout = "0s"))]
struct NoTime(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, ready(tcp, timeout = "1s"), start_timeout = "2s")]
struct TwoDeadlines(ServiceHandle);
