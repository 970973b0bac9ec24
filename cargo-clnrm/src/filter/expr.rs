//! The expression itself, as a tree that prints what it was parsed from.

use std::fmt;
use std::ops::Range;

use super::{Candidate, Context, FilterError, Known, Matcher, Unmatched, parse};

/// A parsed filter expression, with the text it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub(super) text: String,
    pub(super) expr: Expr,
}

/// An expression. `a - b` is `And([a, Not(b)])`, and chains are lists, so that a filter with ten thousand names is as
/// shallow as one with two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// In at least one of these, of which there are two or more.
    Or(Vec<Expr>),
    /// In each of these, of which there are two or more.
    And(Vec<Expr>),
    /// Not in this.
    Not(Box<Expr>),
    /// `all()`: every test.
    All,
    /// `none()`: no test.
    None,
    /// `default()`: what the configuration's default filter selects.
    Default,
    /// `platform(host)` or `platform(target)`.
    Platform(Platform),
    /// A predicate that compares names.
    Named(Named),
}

/// A predicate that compares names: `package(=shop)`.
#[derive(Debug, Clone, Eq)]
pub struct Named {
    /// Which names it compares.
    pub set: Set,
    /// How it compares them.
    pub matcher: Matcher,
    /// Where its matcher stands in the expression, in bytes.
    pub span: Range<usize>,
}

/// Where a predicate was written does not make it another one.
impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.set == other.set && self.matcher == other.matcher
    }
}

/// The names that a predicate compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    /// The test's name in its binary: `orders::list`.
    Test,
    /// The name of the package that has the test.
    Package,
    /// The named packages and all that they depend on.
    Deps,
    /// The named packages and all that depend on them.
    Rdeps,
    /// The binary's id: `shop`, `shop::it`, `shop::bin/server`.
    BinaryId,
    /// Cargo's kind of target: `lib`, `test`, `bench`, `proc-macro`, `bin`, `example`.
    Kind,
    /// The binary's name: that of the crate or of the target.
    Binary,
    /// A service that the test names.
    Service,
}

impl Set {
    /// Every set, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Test,
        Self::Package,
        Self::Deps,
        Self::Rdeps,
        Self::BinaryId,
        Self::Kind,
        Self::Binary,
        Self::Service,
    ];

    /// The predicate's name in an expression.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Package => "package",
            Self::Deps => "deps",
            Self::Rdeps => "rdeps",
            Self::BinaryId => "binary_id",
            Self::Kind => "kind",
            Self::Binary => "binary",
            Self::Service => "service",
        }
    }
}

/// For which platform a test binary is built; they differ for proc-macros and build scripts when cross-compiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Platform {
    /// Where cargo runs.
    Host,
    /// Where the tests run.
    Target,
}

impl Platform {
    /// The platform's name in an expression.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Target => "target",
        }
    }
}

impl Filter {
    /// Parses an expression given with `-E`.
    ///
    /// # Errors
    /// Everything that is wrong with it, not only the first mistake.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::parse(text, true)
    }

    /// Parses an expression that says what `default()` is, in which `default()` itself is therefore refused.
    ///
    /// # Errors
    /// Everything that is wrong with it, not only the first mistake.
    pub fn parse_default(text: &str) -> Result<Self, FilterError> {
        parse::parse(text, false)
    }

    /// The expression.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Whether the filter selects this test.
    #[must_use]
    pub fn matches(&self, candidate: &Candidate<'_>, context: &Context<'_>) -> bool {
        self.expr.matches(candidate, context)
    }

    /// Whether it can be evaluated only where it is known what packages depend on.
    #[must_use]
    pub fn asks_for_dependencies(&self) -> bool {
        self.expr.asks_for_dependencies()
    }

    /// The predicates that can select nothing, since no package, binary or service has such a name. nextest refuses
    /// such an expression.
    #[must_use]
    pub fn unmatched(&self, known: &Known) -> Vec<Unmatched> {
        known.unmatched(self)
    }
}

impl Expr {
    fn asks_for_dependencies(&self) -> bool {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().any(Self::asks_for_dependencies),
            Self::Not(part) => part.asks_for_dependencies(),
            Self::Named(named) => matches!(named.set, Set::Deps | Set::Rdeps),
            Self::All | Self::None | Self::Default | Self::Platform(_) => false,
        }
    }
}

/// Writes the expression in one spelling: `&`, `|`, `not`, and a mark on every name.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(parts) => join(f, parts, " | "),
            Self::And(parts) => join(f, parts, " & "),
            Self::Not(part) => write!(f, "not {}", Operand(part)),
            Self::All => f.write_str("all()"),
            Self::None => f.write_str("none()"),
            Self::Default => f.write_str("default()"),
            Self::Platform(platform) => write!(f, "platform({})", platform.name()),
            Self::Named(named) => write!(f, "{}({})", named.set.name(), named.matcher),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expr], operator: &str) -> fmt::Result {
    parts.iter().enumerate().try_for_each(|(index, part)| {
        f.write_str(if index == 0 { "" } else { operator })?;
        write!(f, "{}", Operand(part))
    })
}

/// An expression where an operator stands next to it: chains get parentheses.
struct Operand<'a>(&'a Expr);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            chain @ (Expr::Or(_) | Expr::And(_)) => write!(f, "({chain})"),
            simple => simple.fmt(f),
        }
    }
}
