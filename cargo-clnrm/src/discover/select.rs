//! Which of the discovered tests a run takes, and what it leaves out. Pure.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::Metadata;
use clnrm_runtime::declare::TestDescriptor;
use clnrm_runtime::plan::TestRequest;
use clnrm_runtime::service::TestId;

use super::{PlainTest, TestBinary};
use crate::cli::RunIgnored;
use crate::filter::{Candidate, Context, Graph, Known, Platform, Selection, Unmatched};

/// A binary and the clnrm tests in it.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The binary.
    pub binary: TestBinary,
    /// Its tests, sorted by path.
    pub tests: Vec<TestDescriptor>,
}

/// What a run takes.
#[derive(Debug, Default)]
pub struct Selected {
    /// The tests to run, binary by binary.
    pub tests: Vec<TestRequest>,
    /// How many are ignored or not selected.
    pub skipped: usize,
    /// Predicates of the filter that can select nothing.
    pub unmatched: Vec<Unmatched>,
}

/// Applies words, expressions and `--run-ignored`.
#[must_use]
pub fn select(
    discovered: &[Discovered],
    filter: &Selection,
    ignored: RunIgnored,
    graph: &Graph,
) -> Selected {
    let context = Context {
        graph,
        default: None,
    };
    let mut selected = Selected::default();
    let services = discovered
        .iter()
        .map(|found| found.tests.iter().map(services_of).collect::<Vec<_>>());
    let services = services.collect::<Vec<_>>();
    let mut candidates = Vec::new();
    for (found, services) in discovered.iter().zip(&services) {
        for (test, services) in found.tests.iter().zip(services) {
            let candidate = candidate(&found.binary, test.test_name(), services);
            candidates.push(candidate);
            if ignored.includes(test.ignored) && filter.matches(&candidate, &context) {
                let test_id = TestId {
                    binary: found.binary.id.clone(),
                    name: test.test_name().to_owned(),
                };
                selected.tests.push(TestRequest {
                    test: test_id,
                    descriptor: test.clone(),
                });
            } else {
                selected.skipped += 1;
            }
        }
    }
    selected.unmatched = filter.unmatched(&Known::collect(candidates, graph));
    selected
}

/// The plain tests of a build, as far as the filters select them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plain {
    /// Those to run.
    pub tests: Vec<TestId>,
    /// How many are ignored or not selected.
    pub skipped: usize,
}

/// Applies words, expressions and `--run-ignored` to the tests of each binary
/// that have no attribute of clnrm's. They name no service.
#[must_use]
pub fn select_plain(
    listed: &[(&TestBinary, Vec<PlainTest>)],
    filter: &Selection,
    ignored: RunIgnored,
    graph: &Graph,
) -> Plain {
    let context = Context {
        graph,
        default: None,
    };
    let none = BTreeSet::new();
    let mut plain = Plain::default();
    for (binary, tests) in listed {
        for test in tests {
            let candidate = candidate(binary, &test.name, &none);
            if ignored.includes(test.ignored) && filter.matches(&candidate, &context) {
                plain.tests.push(TestId {
                    binary: binary.id.clone(),
                    name: test.name.clone(),
                });
            } else {
                plain.skipped += 1;
            }
        }
    }
    plain
}

fn candidate<'a>(
    binary: &'a TestBinary,
    test: &'a str,
    services: &'a BTreeSet<String>,
) -> Candidate<'a> {
    Candidate {
        package: &binary.package,
        binary_id: &binary.id,
        kind: binary.kind.as_str(),
        binary: &binary.target,
        test,
        services,
        platform: Platform::Target,
    }
}

fn services_of(test: &TestDescriptor) -> BTreeSet<String> {
    test.needs.iter().map(|need| need.name.clone()).collect()
}

/// The packages of the workspace, with all that each depends on.
#[must_use]
pub fn graph(metadata: &Metadata) -> Graph {
    let names: BTreeMap<_, _> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.to_string()))
        .collect();
    let direct: BTreeMap<_, _> = metadata
        .resolve
        .iter()
        .flat_map(|resolve| &resolve.nodes)
        .map(|node| (&node.id, &node.dependencies))
        .collect();
    let members = metadata.workspace_members.iter().filter_map(|member| {
        let mut seen = BTreeSet::new();
        let mut open = vec![member];
        while let Some(id) = open.pop() {
            open.extend(
                direct
                    .get(id)
                    .into_iter()
                    .flat_map(|below| below.iter())
                    .filter(|id| seen.insert(*id)),
            );
        }
        let below = seen
            .iter()
            .filter_map(|id| names.get(id).cloned())
            .collect();
        Some((names.get(member)?.clone(), below))
    });
    Graph::new(members)
}

#[cfg(test)]
mod tests {
    use clnrm_runtime::declare::Need;
    use clnrm_runtime::service::ServiceId;

    use super::*;
    use crate::discover::TestKind;
    use crate::filter::Filter;

    fn discovered() -> Vec<Discovered> {
        let test = |name: &str, service: &str, ignored| TestDescriptor {
            v: 1,
            path: format!("it::{name}"),
            file: "tests/it.rs".to_owned(),
            line: 1,
            timeout_ms: 0,
            fresh: false,
            ignored,
            shared: Vec::new(),
            needs: vec![Need {
                id: ServiceId::new(service),
                name: service.to_owned(),
                optional: false,
            }],
        };
        let binary = TestBinary {
            id: "shop::it".to_owned(),
            package: "shop".to_owned(),
            package_id: cargo_metadata::PackageId {
                repr: "shop".to_owned(),
            },
            target: "it".to_owned(),
            kind: TestKind::Test,
            path: "/target/it".into(),
            dir: "/shop".into(),
            harness: true,
            doctests: false,
            env: BTreeMap::new(),
            runner: None,
        };
        let tests = vec![
            test("cart::adds", "redis", false),
            test("orders", "postgres", false),
            test("slow", "redis", true),
        ];
        vec![Discovered { binary, tests }]
    }

    #[track_caller]
    fn check(words: &[&str], expression: Option<&str>, ignored: RunIgnored, expected: &[&str]) {
        let filter = Selection {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            filters: expression
                .map(|text| Filter::parse(text).unwrap())
                .into_iter()
                .collect(),
            ..Selection::default()
        };
        let selected = select(&discovered(), &filter, ignored, &Graph::default());
        let names = selected
            .tests
            .iter()
            .map(|request| request.test.name.as_str())
            .collect::<Vec<_>>();
        assert_eq!(names, expected);
        assert_eq!(selected.skipped, 3 - expected.len());
    }

    #[test]
    fn words_expressions_and_ignored_tests_select_together() {
        check(&[], None, RunIgnored::Default, &["cart::adds", "orders"]);
        check(&[], None, RunIgnored::Only, &["slow"]);
        check(&["ord", "slow"], None, RunIgnored::All, &["orders", "slow"]);
        check(
            &[],
            Some("service(redis)"),
            RunIgnored::All,
            &["cart::adds", "slow"],
        );
        check(&["cart"], Some("service(postgres)"), RunIgnored::All, &[]);
    }

    #[test]
    fn plain_tests_are_selected_as_tests_without_services() {
        let binary = discovered().remove(0).binary;
        let test = |name: &str, ignored| PlainTest {
            name: name.to_owned(),
            ignored,
        };
        let listed = [(&binary, vec![test("adds", false), test("slow", true)])];
        let check = |expression: Option<&str>, ignored, expected: &[&str]| {
            let filters = expression.map(|text| Filter::parse(text).unwrap());
            let filter = Selection {
                filters: filters.into_iter().collect(),
                ..Selection::default()
            };
            let plain = select_plain(&listed, &filter, ignored, &Graph::default());
            let names: Vec<_> = plain.tests.iter().map(|it| it.name.as_str()).collect();
            assert_eq!(
                (names.as_slice(), plain.skipped),
                (expected, 2 - expected.len())
            );
        };
        check(None, RunIgnored::Default, &["adds"]);
        check(Some("test(slow)"), RunIgnored::All, &["slow"]);
        check(Some("service(redis)"), RunIgnored::All, &[]);
    }
}
