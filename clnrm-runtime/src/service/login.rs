//! Who connects to a server, and to which of its databases.

use std::collections::BTreeMap;

use super::secret::Secret;
use super::spec::Var;
use super::template::Template;
use crate::error::Result;

/// What the URL of a server says besides its place: `user:password@` and the
/// database. The variables of a spec, of a slice and of somebody else's server
/// are made of it, so that its exports read the same for all three.
///
/// ```
/// use clnrm_runtime::service::{Login, Spec};
///
/// let login = Login::new("me", "hunter2", "orders");
/// let spec = Spec {
///     vars: login.vars(),
///     exports: Login::exports("mysql")?, // mysql://me:hunter2@HOST:PORT/orders
///     ..Spec::default()
/// };
/// assert!(spec.exports.keys().eq(Login::EXPORTS));
/// # Ok::<(), clnrm_runtime::CleanroomError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password; a server without one wants no user in its URL either.
    pub password: Option<Secret>,
    /// The database, by name or number.
    pub database: String,
}

impl Login {
    /// The names of [`exports`](Self::exports), sorted.
    pub const EXPORTS: &'static [&'static str] =
        &["database", "host", "password", "port", "url", "username"];

    /// A user with a password.
    #[must_use]
    pub fn new(
        user: impl Into<String>,
        password: impl Into<Secret>,
        database: impl Into<String>,
    ) -> Self {
        Self {
            user: user.into(),
            password: Some(password.into()),
            database: database.into(),
        }
    }

    /// `username`, `password` and `database`, and `userinfo` for the URL.
    #[must_use]
    pub fn vars(&self) -> BTreeMap<String, Var> {
        let (userinfo, password) = match &self.password {
            Some(password) => (Var::userinfo(&self.user, password), password.into()),
            None => (Var::plain(""), Var::plain("")),
        };
        let vars = [
            ("userinfo", userinfo),
            ("username", Var::plain(&self.user)),
            ("password", password),
            ("database", Var::plain(&self.database)),
        ];
        vars.map(|(name, var)| (name.to_owned(), var)).into()
    }

    /// What dependants and tests may read, `url` with this scheme among it.
    ///
    /// # Errors
    /// When the scheme has a brace in it.
    pub fn exports(scheme: &str) -> Result<BTreeMap<String, Template>> {
        let url = format!("{scheme}://{{userinfo}}{{host}}:{{port}}/{{database}}");
        Ok(Template::map([
            ("url", url.as_str()),
            ("host", "{host}"),
            ("port", "{port}"),
            ("username", "{username}"),
            ("password", "{password}"),
            ("database", "{database}"),
        ])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exports_are_those_that_are_announced() {
        let exports = Login::exports("x").unwrap();
        assert!(exports.keys().eq(Login::EXPORTS));
    }

    #[test]
    fn without_a_password_the_url_names_no_user() {
        let mut login = Login::new("me", "hunter2", "0");
        let render = |login: &Login| {
            let vars = login.vars();
            Login::exports("x").unwrap()["url"]
                .render(|name| Some(vars.get(name).map_or(name, |var| &var.value).to_owned()))
                .unwrap()
        };
        assert_eq!(render(&login), "x://me:hunter2@host:port/0");
        assert!(login.vars()["userinfo"].secret && login.vars()["password"].secret);
        login.password = None;
        assert_eq!(render(&login), "x://host:port/0");
    }
}
