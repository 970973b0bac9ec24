//! The fields of a derived plugin: into a spec, into the canonical configuration, and back from JSON.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::{CleanroomError, Result};
use crate::service::Secret;

/// A type that a field of a derived plugin may have. Not to be implemented by hand.
#[diagnostic::on_unimplemented(
    message = "a derived plugin cannot keep a `{Self}`",
    label = "this cannot come from a configuration",
    note = "use `String`, `Secret`, `bool`, an integer, `PathBuf` or an `Option` of one; for more, implement `ServicePlugin` by hand"
)]
pub trait ConfigValue: Serialize + DeserializeOwned {
    /// [`DeclaredField::new`] as a value: the compiler says of a constant once
    /// that its type lacks the trait, and of a call for every function.
    const DECLARE: Declare<Self> = DeclaredField::new;

    /// [`GivenConfig::set`] as a value.
    const SET: fn(&mut GivenConfig, &str, &mut Self) -> Result<()> = GivenConfig::set;
}

/// [`DeclaredField::new`] for values of type `T`.
type Declare<T> = fn(&'static str, Option<&'static str>, bool, &T) -> Result<DeclaredField>;

// The note names what there is already.
macro_rules! values {
    ($($type:ty)*) => { $(
        #[diagnostic::do_not_recommend]
        impl ConfigValue for $type {}
    )* };
}

values!(String Secret bool PathBuf u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

#[diagnostic::do_not_recommend]
impl<T: ConfigValue> ConfigValue for Option<T> {}

/// A field of a derived plugin with the value that it has now.
#[derive(Debug, Clone)]
pub struct DeclaredField {
    /// The field's name: its variable has it too.
    pub name: &'static str,
    /// The environment variable that it is passed in.
    pub env: Option<&'static str>,
    /// Whether it must not be printed.
    pub secret: bool,
    value: Value,
}

impl DeclaredField {
    /// A field with its value.
    ///
    /// # Errors
    /// When the value has no text, as a path that is not UTF-8.
    pub fn new(
        name: &'static str,
        env: Option<&'static str>,
        secret: bool,
        value: &impl ConfigValue,
    ) -> Result<Self> {
        let value = serde_json::to_value(value).map_err(|error| {
            CleanroomError::validation_error(format!("field `{name}` cannot be written as text"))
                .with_source(error)
        })?;
        Ok(Self {
            name,
            env,
            secret,
            value,
        })
    }

    /// The value as text; `None` for an absent one.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match &self.value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

/// The canonical configuration. A secret is part of it as its hash alone,
/// because the configuration is printed.
#[must_use]
pub fn configuration(fields: &[DeclaredField]) -> Value {
    let entries = fields.iter().map(|field| {
        let value = match field.text() {
            Some(secret) if field.secret => Value::String(hidden(&secret)),
            _ => field.value.clone(),
        };
        (field.name.to_owned(), value)
    });
    Value::Object(entries.collect())
}

fn hidden(secret: &str) -> String {
    let digest = Sha256::digest(secret);
    let hex = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}

/// A configuration that somebody gave as JSON, to be laid over the defaults.
#[derive(Debug)]
pub struct GivenConfig {
    service_type: &'static str,
    values: Map<String, Value>,
}

impl GivenConfig {
    /// Takes `null` or an object with some of `fields`.
    ///
    /// # Errors
    /// When it is something else, or has a key that is no field.
    pub fn new(service_type: &'static str, config: Value, fields: &[&str]) -> Result<Self> {
        let values = match config {
            Value::Null => Map::new(),
            Value::Object(values) => values,
            other => {
                return Err(CleanroomError::validation_error(format!(
                    "the configuration of `{service_type}` is `{other}`, which is no object"
                )));
            }
        };
        match values.keys().find(|key| !fields.contains(&key.as_str())) {
            None => Ok(Self {
                service_type,
                values,
            }),
            Some(key) => Err(unknown(service_type, key, fields)),
        }
    }

    /// Replaces `place` by the value of `field`, where one was given.
    ///
    /// # Errors
    /// When the value is of another type.
    pub fn set<T: ConfigValue>(&mut self, field: &str, place: &mut T) -> Result<()> {
        let Some(value) = self.values.remove(field) else {
            return Ok(());
        };
        *place = serde_json::from_value(value).map_err(|error| {
            CleanroomError::validation_error(format!(
                "`{field}` of `{}` has a value of the wrong type",
                self.service_type
            ))
            .with_source(error)
        })?;
        Ok(())
    }
}

fn unknown(service_type: &str, key: &str, fields: &[&str]) -> CleanroomError {
    let error = CleanroomError::validation_error(format!("`{service_type}` has no field `{key}`"));
    let near = fields
        .iter()
        .map(|field| (strsim::jaro_winkler(key, field), field))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, field)) => error.with_hint(format!("did you mean `{field}`?")),
        None if fields.is_empty() => error.with_hint("it has no fields at all"),
        None => error.with_hint(format!("its fields are `{}`", fields.join("`, `"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_shows_as_a_hash_that_differs() {
        let config = |password: &str| {
            let password = password.to_owned();
            configuration(&[
                DeclaredField::new("user", None, false, &"me".to_owned()).unwrap(),
                DeclaredField::new("password", None, true, &password).unwrap(),
            ])
        };
        let (one, other) = (config("hunter2"), config("hunter3"));
        assert_eq!(one["user"], "me");
        assert!(!one.to_string().contains("hunter2"), "{one}");
        assert_ne!(one, other);
    }

    #[test]
    fn values_have_the_text_that_an_environment_takes() {
        let text = |field: Result<DeclaredField>| field.unwrap().text();
        assert_eq!(
            text(DeclaredField::new("a", None, false, &"x y".to_owned())).as_deref(),
            Some("x y")
        );
        assert_eq!(
            text(DeclaredField::new("a", None, false, &8u16)).as_deref(),
            Some("8")
        );
        assert_eq!(
            text(DeclaredField::new("a", None, false, &true)).as_deref(),
            Some("true")
        );
        assert_eq!(
            text(DeclaredField::new("a", None, false, &None::<String>)),
            None
        );
    }

    #[test]
    fn what_is_given_replaces_the_default() {
        let mut user = "me".to_owned();
        let mut size = 1u16;
        let mut given =
            GivenConfig::new("minio", json!({ "user": "you" }), &["user", "size"]).unwrap();
        given.set("user", &mut user).unwrap();
        given.set("size", &mut size).unwrap();
        assert_eq!((user.as_str(), size), ("you", 1));
        GivenConfig::new("minio", Value::Null, &[]).unwrap();
    }

    #[test]
    fn mistakes_in_what_is_given_say_what_to_write() {
        let refused = |config| GivenConfig::new("minio", config, &["user"]).unwrap_err();
        assert_eq!(
            refused(json!({ "usr": 1 })).to_string(),
            "`minio` has no field `usr`\n  hint: did you mean `user`?"
        );
        assert_eq!(
            refused(json!(7)).to_string(),
            "the configuration of `minio` is `7`, which is no object"
        );
        let mut given = GivenConfig::new("minio", json!({ "user": 7 }), &["user"]).unwrap();
        let error = given.set("user", &mut String::new()).unwrap_err();
        assert_eq!(
            error.message(),
            "`user` of `minio` has a value of the wrong type"
        );
    }
}
