//! Laws of the expression language, tried on random expressions, tests and texts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Candidate, Context, Expr, Filter, Graph, Matcher, Named, Platform, Set};

const NAMES: [&str; 5] = ["a", "b", "ab", "a::b", "b-a"];

fn matcher() -> impl Strategy<Value = Matcher> {
    let name = prop_oneof![
        prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        // Anything a name might be, with what has a meaning in expressions more often than by chance.
        "([a-z]|[\\\\/(),=~# \\t\\n*?]|\\PC){1,8}",
    ];
    prop_oneof![
        name.clone().prop_map(Matcher::Equal),
        name.clone().prop_map(Matcher::Contains),
        name.clone()
            .prop_filter_map("a glob", |text| Matcher::glob(&text).ok()),
        name.prop_filter_map("a regex as the parser leaves it", |text| {
            // The parser takes the backslash from `\/`, so no parsed pattern has one there.
            let text = text.replace("\\/", "/");
            Matcher::regex(&text).ok()
        }),
    ]
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        Just(Expr::All),
        Just(Expr::None),
        Just(Expr::Default),
        Just(Expr::Platform(Platform::Host)),
        Just(Expr::Platform(Platform::Target)),
        (prop::sample::select(&Set::ALL[..]), matcher()).prop_map(|(set, matcher)| {
            Expr::Named(Named {
                set,
                matcher,
                span: 0..0,
            })
        }),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..5).prop_map(Expr::Or),
            prop::collection::vec(inner.clone(), 2..5).prop_map(Expr::And),
            inner.prop_map(not),
        ]
    })
}

fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

/// Evaluates on every test of a small world, as a row of answers.
fn answers(expr: &Expr) -> Vec<bool> {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let graph = Graph::new([
        ("a".to_owned(), BTreeSet::new()),
        ("b".to_owned(), names(&["a"])),
        ("ab".to_owned(), names(&["a", "b"])),
    ]);
    let default = Filter::parse("test(a)").unwrap();
    let context = Context {
        graph: &graph,
        default: Some(&default),
    };
    let services = [BTreeSet::new(), names(&["a", "b-a"])];
    let mut answers = Vec::new();
    for (package, test) in NAMES.iter().zip(NAMES.iter().rev()) {
        for (services, platform) in services.iter().zip([Platform::Host, Platform::Target]) {
            let candidate = Candidate {
                package,
                binary_id: test,
                kind: "a",
                binary: package,
                test,
                services,
                platform,
            };
            answers.push(expr.matches(&candidate, &context));
        }
    }
    answers
}

/// A text made of the language's own pieces, which gets further into the parser than a random one.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(
            &[
                "test",
                "package",
                "kind",
                "platform",
                "host",
                "all",
                "none",
                "default",
                "group",
                "not",
                "and",
                "or",
                "(",
                ")",
                "(",
                ")",
                "&",
                "|",
                "+",
                "-",
                "!",
                "&&",
                "||",
                "OR",
                "NOT",
                "=",
                "~",
                "#",
                "/",
                "\\",
                ",",
                " ",
                "\n",
                "\t",
                "\u{a0}",
                "[",
                "*",
                "\\u{",
                "\\u{110000}",
                "é",
            ][..]
        )
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(expr in expr()) {
        let printed = expr.to_string();
        let parsed = Filter::parse(&printed).unwrap_or_else(|error| panic!("{error}"));
        prop_assert_eq!(parsed.expr(), &expr, "printed as {}", printed);
    }

    #[test]
    fn not_twice_is_nothing(expr in expr()) {
        prop_assert_eq!(answers(&not(not(expr.clone()))), answers(&expr));
    }

    #[test]
    fn de_morgan(a in expr(), b in expr()) {
        let neither = not(Expr::Or(vec![a.clone(), b.clone()]));
        let not_both = not(Expr::And(vec![a.clone(), b.clone()]));
        prop_assert_eq!(answers(&neither), answers(&Expr::And(vec![not(a.clone()), not(b.clone())])));
        prop_assert_eq!(answers(&not_both), answers(&Expr::Or(vec![not(a), not(b)])));
    }

    #[test]
    fn a_difference_is_what_the_other_has_not(a in expr(), b in expr()) {
        let parsed = Filter::parse(&format!("({a}) - ({b})")).unwrap();
        let expected: Vec<_> = answers(&a).into_iter().zip(answers(&b)).map(|(a, b)| a && !b).collect();
        prop_assert_eq!(answers(parsed.expr()), expected);
    }

    #[test]
    fn and_binds_closer_than_or(a in leaf(), b in leaf(), c in leaf()) {
        let parsed = Filter::parse(&format!("{a} | {b} & {c}")).unwrap();
        let expected = Expr::Or(vec![a, Expr::And(vec![b, c])]);
        prop_assert_eq!(parsed.expr(), &expected);
    }

    #[test]
    fn any_text_parses_or_says_where_it_is_wrong(text in prop_oneof![any::<String>(), soup()]) {
        if let Err(error) = Filter::parse(&text) {
            prop_assert!(!error.problems.is_empty());
            for problem in &error.problems {
                prop_assert!(text.get(problem.span.clone()).is_some(), "{:?} is no place", problem.span);
            }
            prop_assert!(error.to_string().contains('^'));
        }
    }
}

#[test]
fn a_text_nested_without_end_is_an_error() {
    for piece in ["(", "not ", "!", "(!", "not ("] {
        let error = Filter::parse(&piece.repeat(100_000)).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{:?}", error.problems);
    }
}
