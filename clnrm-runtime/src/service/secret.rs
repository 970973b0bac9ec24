//! A text of a configuration that is never printed.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::spec::Var;

/// A password or token. `Debug` hides it, and there is no `Display`;
/// serialized it is the text itself.
///
/// ```
/// use clnrm_runtime::service::Secret;
///
/// let password = Secret::from("hunter2");
/// assert_eq!(format!("{password:?}"), "***");
/// assert_eq!(password.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl From<&Secret> for Var {
    fn from(secret: &Secret) -> Self {
        Self::secret(secret.expose())
    }
}

impl Var {
    /// The part of a URL before the host, `user:password@`, each percent-encoded.
    ///
    /// ```
    /// use clnrm_runtime::service::Var;
    ///
    /// let userinfo = Var::userinfo("me", &"a@b/c".into());
    /// assert_eq!(userinfo.value, "me:a%40b%2Fc@");
    /// ```
    #[must_use]
    pub fn userinfo(user: &str, password: &Secret) -> Self {
        let mut text = String::new();
        encode(&mut text, user);
        text.push(':');
        encode(&mut text, password.expose());
        text.push('@');
        Self::secret(text)
    }
}

/// The texts that nobody may read, and what stands for them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// The secret ones of these variables, each map being those of one service.
    ///
    /// A password that is also the name of the user says nothing, and is hidden
    /// in URLs alone: `***` for each `postgres` would leave no log to read.
    #[must_use]
    pub fn of<'a>(services: impl IntoIterator<Item = &'a BTreeMap<String, Var>>) -> Self {
        let mut hidden: Vec<_> = services.into_iter().flat_map(hidden).collect();
        // A text that contains another must go first, or its rest would show.
        hidden.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        hidden.dedup();
        Self(hidden)
    }

    /// The text, with `***` for each of them.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (secret, shown) in &self.0 {
            if text.contains(secret) {
                text = text.replace(secret, shown);
            }
        }
        text
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

fn hidden(vars: &BTreeMap<String, Var>) -> Vec<(String, String)> {
    let values = |secret: bool| {
        let vars = vars.values().filter(move |var| var.secret == secret);
        let values = vars.map(|var| var.value.as_str());
        values.filter(|value| !value.is_empty()).collect::<Vec<_>>()
    };
    let (plain, secret) = (values(false), values(true));
    // `user:password@` shows whose it is when only its password is hidden.
    let is_userinfo = |value: &&str| {
        let of = |user: &str| {
            let userinfo = |secret: &&str| Var::userinfo(user, &Secret::from(*secret)).value;
            secret.iter().any(|secret| userinfo(secret) == **value)
        };
        plain.iter().any(|user| of(user)) || of("")
    };
    let mut hidden = Vec::new();
    for value in secret.iter().filter(|value| !is_userinfo(value)) {
        let mut encoded = String::new();
        encode(&mut encoded, value);
        if plain.contains(value) {
            hidden.push((format!(":{encoded}@"), ":***@".to_owned()));
        } else {
            hidden.push((encoded, "***".to_owned()));
            // A log is read line by line.
            let lines = value.lines().filter(|line| says_something(line));
            for text in std::iter::once(*value).chain(lines) {
                hidden.push((text.to_owned(), "***".to_owned()));
            }
        }
    }
    hidden
}

/// Whether a line of a secret is a part of it that nobody may read: not so what
/// stands around a key in PEM, or a bracket on a line of its own.
fn says_something(line: &str) -> bool {
    line.trim().len() > 3 && !line.starts_with("-----")
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
fn encode(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(user: &str, password: &str, text: &str, shown: &str) {
        let vars = BTreeMap::from([
            ("username".to_owned(), Var::plain(user)),
            ("password".to_owned(), Var::secret(password)),
            ("userinfo".to_owned(), Var::userinfo(user, &password.into())),
        ]);
        assert_eq!(Secrets::of([&vars]).mask(text), shown);
    }

    #[test]
    fn what_is_secret_is_hidden_as_it_is_and_as_a_url_has_it() {
        check("me", "a@b", "db://me:a%40b@h", "db://me:***@h");
        check("me", "a@b", "?token=a@b&x", "?token=***&x");
        check("", "a@b", "redis://:a%40b@h", "redis://:***@h");
        check("pg", "pg", "pg: db://pg:pg@h", "pg: db://pg:***@h");
        check("me", "", "me", "me");
    }

    #[test]
    fn a_secret_of_many_lines_is_hidden_in_each() {
        let key = "-----BEGIN KEY-----\nc2VjcmV0\n{\n-----END KEY-----\n";
        check("me", key, "read c2VjcmV0, then {", "read ***, then {");
        check("me", key, &format!("key: {key}!"), "key: ***!");
        check("me", key, "-----BEGIN KEY-----", "-----BEGIN KEY-----");
    }

    #[test]
    fn the_longer_of_two_goes_first() {
        let vars = ["ab", "abc"].map(|value| {
            let vars = [("password".to_owned(), Var::secret(value))];
            BTreeMap::from(vars)
        });
        assert_eq!(Secrets::of(&vars).mask("abcd ab"), "***d ***");
        assert_eq!(format!("{:?}", Secrets::of(&vars)), "Secrets(2)");
    }
}
