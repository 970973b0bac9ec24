//! How a predicate compares a name: equal, contains, regular expression or glob.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

/// One way to compare a name. Two are equal if they were written equally.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// `=text`: the name is `text`.
    Equal(String),
    /// `~text`: `text` is somewhere in the name.
    Contains(String),
    /// `/regex/`: the regular expression matches some part of the name.
    Regex(Regex),
    /// `#glob`: the glob matches the whole name; `*` crosses `::` and `/`.
    Glob(GlobMatcher),
}

/// Why a text is no regular expression or glob, in the words of the library that refused it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAPattern(String);

impl Matcher {
    /// A matcher for the regular expression `text`.
    ///
    /// # Errors
    /// When `text` is no regular expression.
    pub fn regex(text: &str) -> Result<Self, NotAPattern> {
        // The library's message is a drawing of several lines; ours has a caret of its own, so the last line is enough.
        Regex::new(text).map(Self::Regex).map_err(|error| {
            let message = error.to_string();
            let reason = message.lines().last().unwrap_or_default();
            NotAPattern(reason.trim_start_matches("error: ").to_owned())
        })
    }

    /// A matcher for the glob `text`. A backslash means nothing in it: `[*]` is a star.
    ///
    /// # Errors
    /// When `text` is no glob.
    pub fn glob(text: &str) -> Result<Self, NotAPattern> {
        GlobBuilder::new(text)
            .backslash_escape(false)
            .empty_alternates(true)
            .build()
            .map(|glob| Self::Glob(glob.compile_matcher()))
            .map_err(|error| NotAPattern(error.kind().to_string()))
    }

    /// Whether `name` is one that this matcher means.
    #[must_use]
    pub fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Equal(text) => name == text,
            Self::Contains(text) => name.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(name),
            Self::Glob(glob) => glob.is_match(name),
        }
    }

    /// The text as it was meant, without mark and escapes.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Equal(text) | Self::Contains(text) => text,
            Self::Regex(regex) => regex.as_str(),
            Self::Glob(glob) => glob.glob().glob(),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.text() == other.text()
    }
}

impl Eq for Matcher {}

/// Writes the matcher with its mark and escapes, so that parsing it again gives the same one.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(text) => write!(f, "={}", Escaped(text)),
            Self::Contains(text) => write!(f, "~{}", Escaped(text)),
            Self::Glob(glob) => write!(f, "#{}", Escaped(glob.glob().glob())),
            Self::Regex(regex) => write!(f, "/{}/", EscapedRegex(regex.as_str())),
        }
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' | ')' | ',' => write!(f, "\\{c}"),
            '\n' => f.write_str("\\n"),
            '\r' => f.write_str("\\r"),
            '\t' => f.write_str("\\t"),
            c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c)),
            c => write!(f, "{c}"),
        })
    }
}

struct EscapedRegex<'a>(&'a str);

impl fmt::Display for EscapedRegex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaped = false;
        self.0.chars().try_for_each(|c| {
            if c == '/' && !escaped {
                f.write_str("\\")?;
            }
            escaped = c == '\\' && !escaped;
            write!(f, "{c}")
        })
    }
}
