//! Collects what is wrong with a configuration, so that all of it is reported at once.

use std::collections::BTreeMap;

use crate::error::{CleanroomError, Result};
use crate::service::{Template, TemplateError};

/// The mistakes found in one configuration.
///
/// ```
/// use clnrm_runtime::plugin::Mistakes;
/// use clnrm_runtime::service::ImageRef;
///
/// let mut mistakes = Mistakes::default();
/// let image = mistakes.check("nats".parse::<ImageRef>());
/// mistakes.refuse_if(true, "the cluster has no name", "set one: `.cluster(\"test\")`");
/// let error = mistakes.into_result("nats").unwrap_err();
/// assert!(image.is_none() && error.message() == "`nats` is misconfigured in 2 places");
/// ```
#[derive(Debug, Default)]
pub struct Mistakes(Vec<CleanroomError>);

impl Mistakes {
    /// Keeps the error, or gives the value.
    pub fn check<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    /// Keeps a validation error with its fix, when something is `wrong`.
    pub fn refuse_if(&mut self, wrong: bool, message: impl Into<String>, hint: impl Into<String>) {
        if wrong {
            self.0
                .push(CleanroomError::validation_error(message).with_hint(hint));
        }
    }

    /// Checks the name of a service: others reach it by that name, and
    /// `CLNRM_<NAME>_URL` is made of it.
    pub fn check_name(&mut self, name: &str) {
        let part_is_good = |part: &str| {
            let is_good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            !part.is_empty() && part.bytes().all(is_good)
        };
        self.refuse_if(
            !name.split('-').all(part_is_good) || name.len() > 63,
            format!("`{name}` is no name of a service"),
            "use up to 63 lower-case letters and digits, with single dashes between them: `orders-db`",
        );
    }

    /// Reads a text with holes; `what` says which one it is.
    pub fn check_template(&mut self, what: &str, text: &str) -> Option<Template> {
        let template = text.parse().map_err(|error: TemplateError| {
            CleanroomError::validation_error(format!("{what} is malformed: {error}"))
        });
        self.check(template)
    }

    /// Reads the texts that parse, and keeps the mistakes of the others.
    pub fn check_templates(&mut self, what: &str, texts: &[String]) -> Vec<Template> {
        let texts = texts.iter();
        texts
            .filter_map(|text| self.check_template(what, text))
            .collect()
    }

    /// Checks the names of environment variables.
    pub fn check_variables<T>(&mut self, env: &BTreeMap<String, T>) {
        env.keys().for_each(|name| self.check_variable(name));
    }

    /// Checks the name of an environment variable.
    pub fn check_variable(&mut self, name: &str) {
        self.refuse_if(
            name.is_empty() || name.contains(['=', '\0']),
            format!("`{name}` is no name of an environment variable"),
            "give name and value apart: `.with_env(\"NAME\", \"value\")`",
        );
    }

    /// One error that says everything that is wrong with `what`.
    ///
    /// # Errors
    /// When there is a mistake. One alone is returned as it is.
    pub fn into_result(self, what: &str) -> Result<()> {
        let count = self.0.len();
        let mut mistakes = self.0.into_iter();
        if count <= 1 {
            return mistakes.next().map_or(Ok(()), Err);
        }
        let all = CleanroomError::validation_error(format!(
            "`{what}` is misconfigured in {count} places"
        ));
        Err(mistakes.zip(1..).fold(all, |all, (mistake, number)| {
            let fix = mistake.hint().map(|hint| format!("\n(hint: {hint})"));
            let text = format!("{}{}", mistake.message(), fix.unwrap_or_default());
            all.with_context(format!("mistake {number}"), text)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wrong_is_no_error() {
        let mut mistakes = Mistakes::default();
        assert_eq!(mistakes.check(Ok(1)), Some(1));
        mistakes.refuse_if(false, "a", "b");
        mistakes.into_result("x").unwrap();
    }

    #[test]
    fn one_mistake_is_its_own_error() {
        let mut mistakes = Mistakes::default();
        mistakes.refuse_if(true, "a is bad", "make it good");
        let error = mistakes.into_result("x").unwrap_err();
        assert_eq!(error.to_string(), "a is bad\n  hint: make it good");
    }

    #[test]
    fn several_are_listed_with_their_fixes() {
        let mut mistakes = Mistakes::default();
        mistakes.refuse_if(true, "a is bad", "make it good");
        mistakes.check::<()>(Err(CleanroomError::validation_error("b is bad")));
        let error = mistakes.into_result("x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`x` is misconfigured in 2 places\n  mistake 1: a is bad\n    (hint: make it good)\n  mistake 2: b is bad"
        );
    }
}
