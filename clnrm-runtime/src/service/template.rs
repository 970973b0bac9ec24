//! Texts with holes: `postgres://{user}@{host}:{port}`, `{db.url}`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::CleanroomError;

/// A text with `{name}` holes; `{{` and `}}` are braces.
///
/// A plain name is the service's own: `host`, `port`, `port.NAME`, `data_dir`,
/// `seed_dir`, `name`, or one of its variables. `field.export` is what the
/// dependency in that field exports, rendered for the reader.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Text(String),
    Hole(String),
}

/// Why a template does not parse or render.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A brace that opens or closes nothing.
    #[error(
        "unmatched `{brace}` at byte {at} of `{text}` (hint: write `{brace}{brace}` for a brace)"
    )]
    Unmatched {
        /// The brace.
        brace: char,
        /// Its place.
        at: usize,
        /// The whole text.
        text: String,
    },
    /// A hole whose name is no name.
    #[error("`{{{name}}}` in `{text}` is not a name (hint: names look like `port` or `db.url`)")]
    Name {
        /// What stands between the braces.
        name: String,
        /// The whole text.
        text: String,
    },
    /// A hole that nothing fills.
    #[error("nothing is called `{name}` in `{text}`")]
    Unknown {
        /// The name.
        name: String,
        /// The whole text.
        text: String,
    },
}

impl From<TemplateError> for CleanroomError {
    fn from(error: TemplateError) -> Self {
        Self::validation_error(error.to_string())
    }
}

impl Template {
    /// Parses a list, such as the arguments of a program.
    ///
    /// # Errors
    /// That of the first text that does not parse.
    pub fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, TemplateError> {
        texts.into_iter().map(str::parse).collect()
    }

    /// Parses named texts, such as exports or an environment.
    ///
    /// # Errors
    /// That of the first text that does not parse.
    pub fn map<'a>(
        texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<BTreeMap<String, Self>, TemplateError> {
        let parse = |(name, text): (&str, &str)| Ok((name.to_owned(), text.parse()?));
        texts.into_iter().map(parse).collect()
    }

    /// A text without holes, braces included.
    #[must_use]
    pub fn literal(text: &str) -> Self {
        let escaped = text.replace('{', "{{").replace('}', "}}");
        Self {
            text: escaped,
            parts: vec![Part::Text(text.to_owned())],
        }
    }

    /// Named texts without holes, such as an environment that is meant as it stands.
    #[must_use]
    pub fn literals(texts: &BTreeMap<String, String>) -> BTreeMap<String, Self> {
        let literal = |(name, text): (&String, &String)| (name.clone(), Self::literal(text));
        texts.iter().map(literal).collect()
    }

    /// The names of the holes, in order, repeats included.
    pub fn holes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Hole(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Fills the holes.
    ///
    /// # Errors
    /// [`TemplateError::Unknown`] for the first hole that `lookup` does not know.
    pub fn render(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Hole(name) => {
                    text.push_str(&lookup(name).ok_or_else(|| TemplateError::Unknown {
                        name: name.clone(),
                        text: self.text.clone(),
                    })?)
                }
            }
        }
        Ok(text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        text.parse()
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let unmatched = |brace, at| {
            Err(TemplateError::Unmatched {
                brace,
                at,
                text: text.to_owned(),
            })
        };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut chars = text.char_indices().peekable();
        while let Some((at, char)) = chars.next() {
            let doubled =
                matches!(char, '{' | '}') && chars.peek().is_some_and(|(_, next)| *next == char);
            match char {
                _ if doubled => {
                    chars.next();
                    literal.push(char);
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some((_, '}')) => break,
                            Some((_, char)) => name.push(char),
                            None => return unmatched('{', at),
                        }
                    }
                    if !is_name(&name) {
                        return Err(TemplateError::Name {
                            name,
                            text: text.to_owned(),
                        });
                    }
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Hole(name));
                }
                '}' => return unmatched('}', at),
                _ => literal.push(char),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn holes_are_filled_and_doubled_braces_are_braces() {
        let template: Template = "{{{db.url}}}:{port}".parse().unwrap();
        assert_eq!(template.holes().collect::<Vec<_>>(), ["db.url", "port"]);
        let text = template.render(|name| Some(name.to_uppercase())).unwrap();
        assert_eq!(text, "{DB.URL}:PORT");
    }

    #[test]
    fn mistakes_name_their_place() {
        for (text, message) in [
            (
                "a{",
                "unmatched `{` at byte 1 of `a{` (hint: write `{{` for a brace)",
            ),
            (
                "a}",
                "unmatched `}` at byte 1 of `a}` (hint: write `}}` for a brace)",
            ),
            (
                "{a b}",
                "`{a b}` in `{a b}` is not a name (hint: names look like `port` or `db.url`)",
            ),
        ] {
            assert_eq!(text.parse::<Template>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let template: Template = "{nope}".parse().unwrap();
        assert_eq!(
            template.render(|_| None).unwrap_err().to_string(),
            "nothing is called `nope` in `{nope}`"
        );
    }

    proptest! {
        #[test]
        fn a_literal_renders_to_itself(text in ".{0,40}") {
            let literal = Template::literal(&text);
            prop_assert_eq!(literal.render(|_| None).unwrap(), text.clone());
            let again: Template = literal.to_string().parse().unwrap();
            prop_assert_eq!(again.render(|_| None).unwrap(), text);
        }
    }
}
