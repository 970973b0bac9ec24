//! Options of `#[clnrm::service]`.

use clnrm::ServiceHandle;

#[clnrm::service]
struct Nothing(ServiceHandle);

#[clnrm::service(redy(http = "/h"))]
struct Misspelt(ServiceHandle);

#[clnrm::service(plugin())]
struct ACallOfAPlainName(ServiceHandle);

#[clnrm::service(image = "postgres")]
struct NoTag(ServiceHandle);

#[clnrm::service(image = "post gres:1")]
struct Space(ServiceHandle);

#[clnrm::service(image = "")]
struct Empty(ServiceHandle);

#[clnrm::service(image = 15)]
struct Number(ServiceHandle);

#[clnrm::service(image = "a:1", image = "b:1", bin = "shop", program = "shop")]
struct TooMuch(ServiceHandle);

#[clnrm::service(program = "shop", package = "shop", command = ["x"], volumes = ["/x"], network = "n", alias = "a")]
struct NoContainer(ServiceHandle);

#[clnrm::service(image = "a:1", args = ["x"], command = ["y"])]
struct TwoLists(ServiceHandle);

#[clnrm::service(image = "a:1", args = "x")]
struct NoList(ServiceHandle);

#[clnrm::service(image = "a:1", port = 0)]
struct PortZero(ServiceHandle);

#[clnrm::service(image = "a:1", port = 99999)]
struct PortTooHigh(ServiceHandle);

#[clnrm::service(image = "a:1", port = "80")]
struct PortText(ServiceHandle);

#[clnrm::service(image = "a:1", port(api = 1, api = 2, admin = 1, x = 0))]
struct PortsTwice(ServiceHandle);

#[clnrm::service(image = "a:1", port = 1, port(api = 2))]
struct PortOptionTwice(ServiceHandle);

#[clnrm::service(image = "a:1", start_timeout = "soon", stop_grace = 3)]
struct Times(ServiceHandle);

#[clnrm::service(image = "a:1", scope = "session", name = "My Db", optional = true)]
struct Choices(ServiceHandle);

#[clnrm::service(image = "a:1", volumes = ["seed:data", ":/x", "/x:ro", "/a", "./b:/a"])]
struct Volumes(ServiceHandle);

#[clnrm::service(image = "a:1", alias = "no way", aliases = ["a/b"], network = "x y")]
struct Names(ServiceHandle);

#[clnrm::service(image = "a:1", env = "A=b")]
struct EnvText(ServiceHandle);

#[clnrm::service(image = "a:1", env(A = "x", A = "y", "B=" = "z", C = path()))]
struct Env(ServiceHandle);

#[clnrm::service(image = "a:1", clnrm::generic::plugin())]
struct PluginLast(ServiceHandle);

#[clnrm::service(self::plugin(), image = "a:1", ready(tcp), port = 1)]
struct PluginAndOptions(ServiceHandle);

#[clnrm::service(clnrm::generic::plugin("a:1"), migrations = "x", scop = "run")]
struct PluginAndUnknownOptions(ServiceHandle);

#[clnrm::service(image: "a:1")]
struct Colon(ServiceHandle);

#[clnrm::service(env { A = "x" }, image = "a:1")]
struct Braces(ServiceHandle);

#[clnrm::service(Pool)]
struct ABareName(ServiceHandle);

#[clnrm::service(redis)]
struct ABareNameLikeAnOption(ServiceHandle);

#[clnrm::service(image = "a:1", "30s")]
struct NoName(ServiceHandle);
