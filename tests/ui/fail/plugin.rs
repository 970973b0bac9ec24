//! `#[derive(ServicePlugin)]`.

#[derive(Debug, clnrm::ServicePlugin)]
struct NoAttribute;

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(image = "a:1")]
struct NoType;

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "a")]
struct NothingToRun;

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(typ = "a", image = "a:1")]
struct Misspelt;

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "Big Type", image = "a:1", version = "1", scope = "x", setters = "no", description = "")]
struct Options;

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "a", bin = "a", package = "b", image = "a:1")]
struct Binary;

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "a", image = "a:1", env(USER = "x"), args = ["{token}", "{usr}"], ready(plugin))]
struct Fields {
    #[plugin(env = "USER", default = "me")]
    user: String,
    token: Option<String>,
    password: String,
    size: u16,
    flag: bool,
    #[plugin(default = 80)]
    port: u16,
    #[plugin(defualt = "x")]
    misspelt: String,
    #[plugin(default = "x")]
    name: String,
    #[plugin(default, env = 3, secret = true)]
    values: String,
}

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "a", image = "a:1")]
struct Generic<T> {
    value: T,
}

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "a", image = "a:1")]
struct Tuple(String);

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "a", image = "a:1")]
enum Enum { A }

#[derive(clnrm::ServicePlugin)]
#[plugin(type = "a", image = "a:1")]
union Union { a: u8, b: u8 }

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "a", image = "a:1")]
struct Unkept {
    list: Vec<String>,
    every: std::time::Duration,
    ratio: f64,
    pair: (u8, u8),
    other: Level,
}
