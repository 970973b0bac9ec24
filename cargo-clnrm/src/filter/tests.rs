//! What expressions select, and what is said of wrong ones.
//!
//! The selections of [`SELECTS`] are those of `cargo nextest list -E`, which was run on a workspace of the same shape.

use std::collections::BTreeSet;

use super::{Candidate, Context, Filter, Graph, Known, Platform, Selection};

/// Package, binary id, kind, binary, test, service.
const WORLD: [[&str; 6]; 6] = [
    ["core", "core", "lib", "core", "tests::a", ""],
    ["shop", "shop", "lib", "shop", "tests::a", ""],
    [
        "shop",
        "shop::it",
        "test",
        "it",
        "orders::create",
        "postgres",
    ],
    [
        "shop",
        "shop::it",
        "test",
        "it",
        "orders::list",
        "orders-db",
    ],
    ["cli", "cli::bin/cli", "bin", "cli", "args::parse", ""],
    ["cli", "cli::it", "test", "it", "a,b)c", "redis"],
];

fn set(names: &[&str]) -> BTreeSet<String> {
    names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|&name| name.to_owned())
        .collect()
}

/// `cli` depends on `shop`, which depends on `core`.
fn graph() -> Graph {
    Graph::new([
        ("core".to_owned(), set(&["serde"])),
        ("shop".to_owned(), set(&["core", "serde"])),
        ("cli".to_owned(), set(&["core", "shop", "serde"])),
    ])
}

fn with_world<T>(look: impl FnOnce(&[Candidate<'_>]) -> T) -> T {
    let services = WORLD.map(|row| set(&row[5..]));
    let candidates: Vec<_> = WORLD
        .iter()
        .zip(&services)
        .map(|(row, services)| Candidate {
            package: row[0],
            binary_id: row[1],
            kind: row[2],
            binary: row[3],
            test: row[4],
            services,
            platform: Platform::Target,
        })
        .collect();
    look(&candidates)
}

fn selected(selection: &Selection, default: Option<&Filter>) -> String {
    let graph = graph();
    let context = Context {
        graph: &graph,
        default,
    };
    with_world(|candidates| {
        let names: Vec<_> = candidates
            .iter()
            .filter(|candidate| selection.matches(candidate, &context))
            .map(|candidate| format!("{} {}", candidate.binary_id, candidate.test))
            .collect();
        names.join("; ")
    })
}

fn select(words: &[&str], expressions: &[&str]) -> String {
    let selection = Selection {
        words: words.iter().map(|&word| word.to_owned()).collect(),
        filters: expressions
            .iter()
            .map(|text| Filter::parse(text).unwrap_or_else(|error| panic!("{error}")))
            .collect(),
        ..Selection::default()
    };
    selected(&selection, None)
}

const ALL: &str = "core tests::a; shop tests::a; shop::it orders::create; shop::it orders::list; \
                   cli::bin/cli args::parse; cli::it a,b)c";

const SELECTS: &[(&str, &str)] = &[
    ("all()", ALL),
    (" all ( ) ", ALL),
    ("default()", ALL),
    ("none()", ""),
    // Matchers and their defaults.
    (
        "test(orders)",
        "shop::it orders::create; shop::it orders::list",
    ),
    ("test(=orders)", ""),
    ("test(=orders::list)", "shop::it orders::list"),
    ("test(~list)", "shop::it orders::list"),
    ("test(#*list)", "shop::it orders::list"),
    ("test(#list)", ""),
    ("test(*list)", ""),
    ("test(/^t.*a$/)", "core tests::a; shop tests::a"),
    (r"test(=a\,b\)c)", "cli::it a,b)c"),
    (r"test(=\u{61}\u{00002c}b\)c)", "cli::it a,b)c"),
    ("test( =orders::list)", "shop::it orders::list"),
    ("test(=orders::list )", ""),
    (
        "package(shop)",
        "shop tests::a; shop::it orders::create; shop::it orders::list",
    ),
    (
        "package(s*)",
        "shop tests::a; shop::it orders::create; shop::it orders::list",
    ),
    (
        "package(~h)",
        "shop tests::a; shop::it orders::create; shop::it orders::list",
    ),
    (
        r"binary(it) & package({shop\,x}{\,y})",
        "shop::it orders::create; shop::it orders::list",
    ),
    (
        "binary_id(cli::*)",
        "cli::bin/cli args::parse; cli::it a,b)c",
    ),
    ("binary_id(/bin/)", "cli::bin/cli args::parse"),
    (r"binary_id(/bin\/c/)", "cli::bin/cli args::parse"),
    ("kind(lib)", "core tests::a; shop tests::a"),
    ("kind(l*)", ""),
    ("kind(li)", ""),
    ("kind(#l*)", "core tests::a; shop tests::a"),
    ("platform(target)", ALL),
    ("platform( host )", ""),
    // The graph, in which every package is its own dependency.
    (
        "deps(shop)",
        "core tests::a; shop tests::a; shop::it orders::create; shop::it orders::list",
    ),
    ("deps(core)", "core tests::a"),
    ("rdeps(core)", ALL),
    ("rdeps(cli)", "cli::bin/cli args::parse; cli::it a,b)c"),
    // Operators: precedence, and from left to right within a level.
    ("not package(shop) & kind(lib)", "core tests::a"),
    (
        "not(package(shop))",
        "core tests::a; cli::bin/cli args::parse; cli::it a,b)c",
    ),
    ("!package(shop)and not not kind(lib)", "core tests::a"),
    (
        "kind(lib) | kind(test) & package(cli)",
        "core tests::a; shop tests::a; cli::it a,b)c",
    ),
    ("(kind(lib) | kind(test)) & package(cli)", "cli::it a,b)c"),
    (
        "kind(lib) + kind(bin) - package(core)",
        "core tests::a; shop tests::a; cli::bin/cli args::parse",
    ),
    (
        "all() - kind(lib) & package(cli) - kind(bin)",
        "cli::it a,b)c",
    ),
    (
        "all() - (kind(lib) or kind(test))",
        "cli::bin/cli args::parse",
    ),
    ("all()-none()and kind(bin)", "cli::bin/cli args::parse"),
    ("kind(lib) and(package(core))", "core tests::a"),
    ("kind(lib)\n  and package(core)\r\n", "core tests::a"),
];

#[test]
fn expressions_select_what_nextest_selects() {
    for (expression, expected) in SELECTS {
        assert_eq!(select(&[], &[expression]), *expected, "{expression}");
    }
}

#[test]
fn service_selects_by_what_a_test_needs() {
    let check = |expression: &str, expected: &str| {
        assert_eq!(select(&[], &[expression]), expected, "{expression}");
    };
    check("service(postgres)", "shop::it orders::create");
    check("service(post)", "");
    check("service(*db)", "shop::it orders::list");
    check("service(~re)", "shop::it orders::create; cli::it a,b)c");
    check("service(/^re/)", "cli::it a,b)c");
    check(
        "service(*) - service(=redis)",
        "shop::it orders::create; shop::it orders::list",
    );
    check("not service(*) & package(shop)", "shop tests::a");
}

#[test]
fn words_are_one_choice_and_expressions_another_and_both_must_hold() {
    assert_eq!(select(&[], &[]), ALL);
    assert_eq!(
        select(&["create", "parse"], &[]),
        "shop::it orders::create; cli::bin/cli args::parse"
    );
    assert_eq!(
        select(&[], &["kind(bin)", "test(create)"]),
        "shop::it orders::create; cli::bin/cli args::parse"
    );
    assert_eq!(
        select(&["list", "a"], &["package(shop)", "kind(bin)"]),
        "shop tests::a; shop::it orders::create; shop::it orders::list; cli::bin/cli args::parse"
    );
    assert_eq!(select(&["list"], &["package(cli)"]), "");
}

#[test]
fn words_to_skip_are_parts_of_names_or_whole_names() {
    let check = |words: &[&str], skip: &[&str], exact, expected: &str| {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let selection = Selection {
            words: owned(words),
            skip: owned(skip),
            exact,
            filters: vec![Filter::parse("package(shop)").unwrap()],
        };
        assert!(!selection.is_everything());
        assert_eq!(selected(&selection, None), expected, "{words:?} {skip:?}");
    };
    let (create, list) = ("shop::it orders::create", "shop::it orders::list");
    check(&["orders"], &["list", "x"], false, create);
    check(&["orders", "orders::list"], &[], true, list);
    check(&["orders::list"], &["list"], true, list);
    check(&["orders::list"], &["orders::list"], true, "");
}

#[test]
fn default_is_what_the_configuration_says() {
    let default = Filter::parse_default("kind(bin)").unwrap();
    let selection = Selection {
        filters: vec![Filter::parse("default() | kind(lib) - package(core)").unwrap()],
        ..Selection::default()
    };
    assert_eq!(
        selected(&selection, Some(&default)),
        "shop tests::a; cli::bin/cli args::parse"
    );
}

#[test]
fn a_default_that_names_itself_ends() {
    let default = Filter::parse("default() & kind(bin)").unwrap();
    let selection = Selection {
        filters: vec![Filter::parse("default()").unwrap()],
        ..Selection::default()
    };
    assert_eq!(
        selected(&selection, Some(&default)),
        "cli::bin/cli args::parse"
    );
}

#[test]
fn ten_thousand_names_are_parsed_and_evaluated() {
    let names: Vec<_> = (0..10_000).map(|n| format!("test(=t{n})")).collect();
    let expression = format!("{} | test(=orders::list)", names.join(" | "));
    assert_eq!(select(&[], &[&expression]), "shop::it orders::list");
}

fn unmatched(expression: &str) -> String {
    let known = with_world(|candidates| Known::collect(candidates.iter().copied(), &graph()));
    let filter = Filter::parse(expression).unwrap();
    let texts: Vec<_> = filter
        .unmatched(&known)
        .iter()
        .map(ToString::to_string)
        .collect();
    texts.join("\n")
}

#[test]
fn names_that_nothing_has_are_told() {
    insta::assert_snapshot!(
        unmatched("package(=shopp) | deps(nope) | rdeps(serde) - binary_id(shop::iit) | binary(/^x/) & not service(postgras)"),
        @"
    `package` matches no package
      package(=shopp) | deps(nope) | rdeps(serde) - binary_id(shop::iit) | binary(/^x/) & not service(postgras)
               ^^^^^ no package is named so (hint: did you mean `shop`?)
    `deps` matches no package
      package(=shopp) | deps(nope) | rdeps(serde) - binary_id(shop::iit) | binary(/^x/) & not service(postgras)
                             ^^^^ no package is named so
    `rdeps` matches no package
      package(=shopp) | deps(nope) | rdeps(serde) - binary_id(shop::iit) | binary(/^x/) & not service(postgras)
                                           ^^^^^ no package is named so
    `binary_id` matches no binary id
      package(=shopp) | deps(nope) | rdeps(serde) - binary_id(shop::iit) | binary(/^x/) & not service(postgras)
                                                              ^^^^^^^^^ no binary id is named so (hint: did you mean `shop::it`?)
    `binary` matches no binary
      package(=shopp) | deps(nope) | rdeps(serde) - binary_id(shop::iit) | binary(/^x/) & not service(postgras)
                                                                                   ^^ no binary is named so
    `service` matches no service
      package(=shopp) | deps(nope) | rdeps(serde) - binary_id(shop::iit) | binary(/^x/) & not service(postgras)
                                                                                                      ^^^^^^^^ no service is named so (hint: did you mean `postgres`?)
    "
    );
}

#[test]
fn names_that_something_has_are_not_told() {
    let fine = "package(shop) | deps(s*) | rdeps(/c/) | binary_id(~it) | binary(it) | service(redis) \
                | test(gone) | kind(bench)";
    assert_eq!(unmatched(fine), "");
}
