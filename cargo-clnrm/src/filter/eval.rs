//! Whether an expression selects a test, given what the run knows about it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Expr, Filter, Matcher, Named, Platform, Set};

/// A test that may be selected.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Name of the package.
    pub package: &'a str,
    /// Id of the binary: `shop`, `shop::it`, `shop::bin/server`.
    pub binary_id: &'a str,
    /// Cargo's kind of the target: `lib`, `test`, `bench`, `proc-macro`, `bin`, `example`.
    pub kind: &'a str,
    /// Name of the binary: that of the crate or of the target.
    pub binary: &'a str,
    /// Name of the test in its binary: `orders::list`.
    pub test: &'a str,
    /// Names of the services it needs.
    pub services: &'a BTreeSet<String>,
    /// For which platform the binary is built.
    pub platform: Platform,
}

/// The workspace's packages, each with the names of all it depends on, directly or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

/// What an expression is evaluated in, the same for every test of a run.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// For `deps` and `rdeps`.
    pub graph: &'a Graph,
    /// What `default()` is; everything where there is none.
    pub default: Option<&'a Filter>,
}

impl Graph {
    /// A graph of workspace packages: name, and the transitive dependencies, in which foreign packages do no harm.
    pub fn new(packages: impl IntoIterator<Item = (String, BTreeSet<String>)>) -> Self {
        Self {
            dependencies: packages.into_iter().collect(),
        }
    }

    /// Names of the workspace's packages.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.dependencies.keys().map(String::as_str)
    }

    fn depends(&self, package: &str, on: &str) -> bool {
        package == on
            || self
                .dependencies
                .get(package)
                .is_some_and(|names| names.contains(on))
    }

    fn in_dependencies(&self, package: &str, matcher: &Matcher) -> bool {
        self.packages()
            .any(|name| matcher.is_match(name) && self.depends(name, package))
    }

    fn in_dependants(&self, package: &str, matcher: &Matcher) -> bool {
        self.packages()
            .any(|name| matcher.is_match(name) && self.depends(package, name))
    }
}

impl Expr {
    pub(super) fn matches(&self, candidate: &Candidate<'_>, context: &Context<'_>) -> bool {
        match self {
            Self::Or(parts) => parts.iter().any(|part| part.matches(candidate, context)),
            Self::And(parts) => parts.iter().all(|part| part.matches(candidate, context)),
            Self::Not(part) => !part.matches(candidate, context),
            Self::All => true,
            Self::None => false,
            Self::Default => context.default.is_none_or(|filter| {
                // A default that names itself would not end.
                let inner = Context {
                    default: None,
                    ..*context
                };
                filter.matches(candidate, &inner)
            }),
            Self::Platform(platform) => *platform == candidate.platform,
            Self::Named(named) => named.matches(candidate, context.graph),
        }
    }
}

impl Named {
    fn matches(&self, candidate: &Candidate<'_>, graph: &Graph) -> bool {
        let matcher = &self.matcher;
        match self.set {
            Set::Test => matcher.is_match(candidate.test),
            Set::Package => matcher.is_match(candidate.package),
            Set::Deps => graph.in_dependencies(candidate.package, matcher),
            Set::Rdeps => graph.in_dependants(candidate.package, matcher),
            Set::BinaryId => matcher.is_match(candidate.binary_id),
            Set::Kind => matcher.is_match(candidate.kind),
            Set::Binary => matcher.is_match(candidate.binary),
            Set::Service => candidate.services.iter().any(|name| matcher.is_match(name)),
        }
    }
}
