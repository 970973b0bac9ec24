//! Words and expressions of one command line, put together.

use super::{Candidate, Context, Filter, Known, Unmatched};

/// What a command line selects: tests that one of the words is part of, none of those to skip, and that one of the
/// expressions selects. No words, or no expressions, select every test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Parts of test names.
    pub words: Vec<String>,
    /// Parts of the names of tests that are left out.
    pub skip: Vec<String>,
    /// Whether the words of both are whole names.
    pub exact: bool,
    /// Expressions, one for each `-E`.
    pub filters: Vec<Filter>,
}

impl Selection {
    /// Whether the test is selected.
    #[must_use]
    pub fn matches(&self, candidate: &Candidate<'_>, context: &Context<'_>) -> bool {
        let named = |word: &String| {
            if self.exact {
                candidate.test == word
            } else {
                candidate.test.contains(word.as_str())
            }
        };
        (self.words.is_empty() || self.words.iter().any(named))
            && !self.skip.iter().any(named)
            && (self.filters.is_empty()
                || self
                    .filters
                    .iter()
                    .any(|filter| filter.matches(candidate, context)))
    }

    /// Whether one of the expressions is about what packages depend on.
    #[must_use]
    pub fn asks_for_dependencies(&self) -> bool {
        self.filters.iter().any(Filter::asks_for_dependencies)
    }

    /// The predicates of all expressions that can select nothing.
    #[must_use]
    pub fn unmatched(&self, known: &Known) -> Vec<Unmatched> {
        self.filters
            .iter()
            .flat_map(|filter| filter.unmatched(known))
            .collect()
    }

    /// Whether every test is selected, so that nothing needs to be asked.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.words.is_empty() && self.skip.is_empty() && self.filters.is_empty()
    }
}
