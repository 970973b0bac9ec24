//! The names that exist, to tell a misspelt one from one that selects nothing today.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use super::error::{Marked, nearest, with_hint};
use super::{Candidate, Expr, Filter, Graph, Matcher, Named, Set};

/// All names that a predicate can match in this workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Packages of the workspace.
    pub packages: BTreeSet<String>,
    /// Ids of the test binaries.
    pub binary_ids: BTreeSet<String>,
    /// Names of the test binaries.
    pub binaries: BTreeSet<String>,
    /// Names of the services that any test needs.
    pub services: BTreeSet<String>,
}

/// A predicate that no name satisfies, so that it selects nothing. Its text shows the expression and the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmatched {
    /// The whole expression.
    pub expression: String,
    /// The matcher's place in it, in bytes.
    pub span: Range<usize>,
    /// What the predicate compares.
    pub set: Set,
    /// Which name may be meant.
    pub hint: Option<String>,
}

impl Known {
    /// The names of these tests and of the graph's packages.
    #[must_use]
    pub fn collect<'a>(candidates: impl IntoIterator<Item = Candidate<'a>>, graph: &Graph) -> Self {
        let mut known = Self {
            packages: graph.packages().map(str::to_owned).collect(),
            ..Self::default()
        };
        for candidate in candidates {
            known.packages.insert(candidate.package.to_owned());
            known.binary_ids.insert(candidate.binary_id.to_owned());
            known.binaries.insert(candidate.binary.to_owned());
            known.services.extend(candidate.services.iter().cloned());
        }
        known
    }

    pub(super) fn unmatched(&self, filter: &Filter) -> Vec<Unmatched> {
        let mut found = Vec::new();
        self.visit(&filter.expr, &mut |named, names| {
            found.push(Unmatched {
                expression: filter.text.clone(),
                span: named.span.clone(),
                set: named.set,
                hint: meant(&named.matcher, names),
            });
        });
        found
    }

    fn visit(&self, expr: &Expr, report: &mut impl FnMut(&Named, &BTreeSet<String>)) {
        match expr {
            Expr::Or(parts) | Expr::And(parts) => {
                parts.iter().for_each(|part| self.visit(part, report));
            }
            Expr::Not(part) => self.visit(part, report),
            Expr::Named(named) => {
                if let Some(names) = self.names(named.set)
                    && !names.iter().any(|name| named.matcher.is_match(name))
                {
                    report(named, names);
                }
            }
            Expr::All | Expr::None | Expr::Default | Expr::Platform(_) => {}
        }
    }

    /// The names a set has, where a name that is not among them is a mistake: a test that is gone is not one.
    fn names(&self, set: Set) -> Option<&BTreeSet<String>> {
        match set {
            Set::Package | Set::Deps | Set::Rdeps => Some(&self.packages),
            Set::BinaryId => Some(&self.binary_ids),
            Set::Binary => Some(&self.binaries),
            Set::Service => Some(&self.services),
            Set::Test | Set::Kind => None,
        }
    }
}

fn meant(matcher: &Matcher, names: &BTreeSet<String>) -> Option<String> {
    match matcher {
        Matcher::Regex(_) => None,
        matcher => nearest(matcher.text(), names.iter().map(String::as_str))
            .map(|near| format!("did you mean `{near}`?")),
    }
}

impl Unmatched {
    const fn what(&self) -> &'static str {
        match self.set {
            Set::Package | Set::Deps | Set::Rdeps => "package",
            Set::BinaryId => "binary id",
            Set::Binary => "binary",
            Set::Service => "service",
            Set::Test => "test",
            Set::Kind => "kind",
        }
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (predicate, what) = (self.set.name(), self.what());
        let label = with_hint(format!("no {what} is named so"), self.hint.clone());
        let marked = Marked::new(&self.expression, &self.span, &label);
        write!(f, "`{predicate}` matches no {what}\n{marked}")
    }
}
