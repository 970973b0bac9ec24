//! A text of a configuration that is never printed.

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
