//! Which tests a run selects: filter words and expressions, decided over plain data.
//!
//! The expression language is [nextest's filterset DSL](https://nexte.st/docs/filtersets/reference), with
//! `service(...)` added and `group(...)` refused. In short, from the tightest binding to the loosest, each level
//! read from left to right:
//!
//! | written | selects |
//! | --- | --- |
//! | `test(x)` `package(x)` `deps(x)` `rdeps(x)` `binary_id(x)` `kind(x)` `binary(x)` `service(x)` | what has that name |
//! | `platform(host)` `platform(target)` `default()` `all()` `none()` `( … )` | |
//! | `not a` `! a` | everything that is not in `a` |
//! | `a and b` `a & b`, and `a - b` | what is in both; what is in `a` and not in `b` |
//! | `a or b` `a \| b` `a + b` | what is in either |
//!
//! A name is written `=equal`, `~contains`, `/regex/` or `#glob`. Without a mark it is what the predicate says:
//! contains for `test`, equal for `kind`, and a glob for all others, which equals where it has no wildcard.
//!
//! Nothing here reads a file, runs cargo or prints: [`Candidate`], [`Graph`] and [`Known`] are handed in.
//!
//! ```
//! use std::collections::BTreeSet;
//! use cargo_clnrm::filter::{Candidate, Context, Filter, Graph, Platform};
//!
//! let services = BTreeSet::from(["postgres".to_owned()]);
//! let candidate = Candidate {
//!     package: "shop", binary_id: "shop::it", kind: "test", binary: "it", test: "orders::list",
//!     services: &services, platform: Platform::Target,
//! };
//! let graph = Graph::default();
//! let context = Context { graph: &graph, default: None };
//!
//! let filter = Filter::parse("service(postgres) - test(=orders::create)")?;
//! assert!(filter.matches(&candidate, &context));
//! # Ok::<(), cargo_clnrm::filter::FilterError>(())
//! ```

mod arguments;
mod error;
mod eval;
mod expr;
mod known;
#[cfg(test)]
mod laws;
mod matcher;
#[cfg(test)]
mod mistakes;
mod parse;
mod selection;
#[cfg(test)]
mod tests;

pub use error::{FilterError, Problem, ProblemKind};
pub use eval::{Candidate, Context, Graph};
pub use expr::{Expr, Filter, Named, Platform, Set};
pub use known::{Known, Unmatched};
pub use matcher::{Matcher, NotAPattern};
pub use selection::Selection;
