//! What is wrong with an expression, each mistake shown where it is.

use std::fmt;
use std::ops::Range;

use super::{NotAPattern, Set};

/// An expression with mistakes. Its text shows the expression once for each, with a mark under the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    /// The expression as given.
    pub expression: String,
    /// The mistakes, in the order of their places.
    pub problems: Vec<Problem>,
}

/// One mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place, in bytes of the expression; empty where something is missing.
    pub span: Range<usize>,
    /// What is wrong there.
    pub kind: ProblemKind,
}

/// What can be wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A predicate that does not exist.
    #[error("unknown predicate `{0}`")]
    UnknownPredicate(String),
    /// A word without parentheses that is no predicate.
    #[error("`{0}` is not a predicate")]
    BareWord(String),
    /// `group(...)`.
    #[error("`group` is not supported: clnrm has no test groups")]
    Group,
    /// `default()` in the definition of the default.
    #[error("`default()` cannot be used to say what the default is")]
    DefaultInDefault,
    /// An operator, or the whole expression, without an operand.
    #[error("an expression is missing")]
    MissingOperand,
    /// Two expressions next to each other.
    #[error("an operator is missing")]
    MissingOperator,
    /// `&&`, `||`, `AND`, `OR` or `NOT`, and what is meant.
    #[error("`{written}` is not an operator")]
    WrongOperator {
        /// As written.
        written: String,
        /// What would be right.
        right: &'static str,
    },
    /// No `(` after a predicate.
    #[error("no `(` after `{0}`")]
    MissingOpen(String),
    /// No `)` before the end.
    #[error("a `(` is not closed")]
    MissingClose,
    /// Something between a regular expression and its `)`.
    #[error("the argument does not end here")]
    AfterArgument,
    /// A `)` with no `(`.
    #[error("a `)` closes nothing")]
    StrayClose,
    /// No name between the parentheses.
    #[error("a name is missing")]
    MissingName,
    /// An argument of `all`, `none` or `default`.
    #[error("`{0}` takes no argument")]
    UnexpectedArgument(&'static str),
    /// A comma that is not escaped.
    #[error("a second argument")]
    UnexpectedComma,
    /// Neither host nor target.
    #[error("`{0}` is not a platform")]
    UnknownPlatform(String),
    /// A backslash with something that needs none.
    #[error("`{0}` is not an escape sequence")]
    InvalidEscape(String),
    /// A regular expression without its second slash.
    #[error("the regular expression is not closed")]
    UnclosedRegex,
    /// A text that is no regular expression.
    #[error("not a regular expression: {0}")]
    InvalidRegex(NotAPattern),
    /// A text that is no glob.
    #[error("not a glob: {0}")]
    InvalidGlob(NotAPattern),
    /// Parentheses and `not`s in each other beyond the limit.
    #[error("nested too deeply")]
    TooDeep,
}

impl ProblemKind {
    /// What belongs at the place instead.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::UnknownPredicate(_) => {
                let names: Vec<_> = predicate_names().map(|name| format!("`{name}`")).collect();
                format!("expected one of {}", names.join(", "))
            }
            Self::Group | Self::BareWord(_) => "expected a predicate".to_owned(),
            Self::DefaultInDefault => "it would mean itself".to_owned(),
            Self::MissingOperand => "expected a predicate, `not` or `(`".to_owned(),
            Self::MissingOperator => "expected `&`, `|` or `-`".to_owned(),
            Self::WrongOperator { right, .. } => format!("expected {right}"),
            Self::MissingOpen(_) => "expected `(`".to_owned(),
            Self::MissingClose | Self::AfterArgument => "expected `)`".to_owned(),
            Self::StrayClose => "expected an operator or the end".to_owned(),
            Self::MissingName => "expected a name".to_owned(),
            Self::UnexpectedArgument(_) => "expected nothing".to_owned(),
            Self::UnexpectedComma => "expected `)`".to_owned(),
            Self::UnknownPlatform(_) => "expected `host` or `target`".to_owned(),
            Self::InvalidEscape(_) => {
                r"expected `\n`, `\r`, `\t`, `\\`, `\/`, `\)`, `\,` or `\u{…}`".to_owned()
            }
            Self::UnclosedRegex => "expected `/`".to_owned(),
            Self::InvalidRegex(_) => "in this regular expression".to_owned(),
            Self::InvalidGlob(_) => "in this glob".to_owned(),
            Self::TooDeep => "the limit is passed here".to_owned(),
        }
    }

    /// How to mend it, where that is not plain.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownPredicate(name) => {
                nearest(name, predicate_names()).map(|near| format!("did you mean `{near}`?"))
            }
            Self::BareWord(word) => Some(format!("`test({word})` selects by the test's name")),
            Self::Group => Some("`service(...)` selects tests by what they need".to_owned()),
            Self::AfterArgument => {
                Some(r"a slash of a regular expression is written `\/`".to_owned())
            }
            Self::UnexpectedComma => Some(r"a comma of a name is written `\,`".to_owned()),
            Self::InvalidEscape(_) => {
                Some(r"a backslash of a name is written `\\`, a star of a glob `[*]`".to_owned())
            }
            _ => None,
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems
            .iter()
            .enumerate()
            .try_for_each(|(index, problem)| {
                if index > 0 {
                    writeln!(f)?;
                }
                let kind = &problem.kind;
                let label = with_hint(kind.expected(), kind.hint());
                write!(
                    f,
                    "{kind}\n{}",
                    Marked::new(&self.expression, &problem.span, &label)
                )
            })
    }
}

/// Names of all predicates that are not refused.
pub(super) fn predicate_names() -> impl Iterator<Item = &'static str> {
    Set::ALL
        .into_iter()
        .map(Set::name)
        .chain(["platform", "default", "all", "none"])
}

/// The name that `word` is most likely a misspelling of.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LIKELY: f64 = 0.75;
    names
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .filter(|(likeness, _)| *likeness >= LIKELY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

pub(super) fn with_hint(text: String, hint: Option<String>) -> String {
    match hint {
        Some(hint) => format!("{text} (hint: {hint})"),
        None => text,
    }
}

/// The line of the expression that holds a place, and under it a mark with a label.
pub(super) struct Marked<'a> {
    line: &'a str,
    column: usize,
    width: usize,
    label: &'a str,
}

impl<'a> Marked<'a> {
    pub(super) fn new(expression: &'a str, span: &Range<usize>, label: &'a str) -> Self {
        let before = expression.get(..span.start).unwrap_or(expression);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = expression.get(start..).unwrap_or_default();
        let line = line.lines().next().unwrap_or_default();
        let column = before.get(start..).unwrap_or_default().chars().count();
        let width = expression
            .get(span.clone())
            .and_then(|marked| marked.lines().next())
            .map_or(1, |marked| marked.chars().count().max(1));
        Self {
            line,
            column,
            width,
            label,
        }
    }
}

impl fmt::Display for Marked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A tab or an escape sequence would move the mark away from its place.
        let shown = format!("  {}", self.line.replace(char::is_control, " "));
        let (column, mark) = (self.column, "^".repeat(self.width));
        let shown = shown.trim_end();
        write!(f, "{shown}\n  {:column$}{mark} {}", "", self.label)
    }
}
