//! What only the text of a manifest says: which targets have no harness. Pure.

use std::collections::BTreeSet;

use super::TestKind;

/// The targets with `harness = false`: their kind, and their name where it is
/// not the package's own.
pub(super) type Harnessless = BTreeSet<(TestKind, Option<String>)>;

/// Reads a `Cargo.toml` that cargo has read before.
pub(super) fn harnessless(manifest: &str) -> Harnessless {
    let Ok(manifest) = manifest.parse::<toml::Table>() else {
        return Harnessless::new();
    };
    let without = |target: &toml::Value| {
        let harness = target.get("harness").and_then(toml::Value::as_bool);
        harness == Some(false)
    };
    let name = |target: &toml::Value| Some(target.get("name")?.as_str()?.to_owned());
    let mut found = Harnessless::new();
    if manifest.get("lib").is_some_and(without) {
        found.insert((TestKind::Lib, None));
    }
    let kinds = [
        TestKind::Bin,
        TestKind::Test,
        TestKind::Example,
        TestKind::Bench,
    ];
    for kind in kinds {
        let targets = manifest.get(kind.as_str()).and_then(toml::Value::as_array);
        let targets = targets.into_iter().flatten().filter(|it| without(it));
        found.extend(targets.filter_map(|it| Some((kind, Some(name(it)?)))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_without_a_harness_are_found_by_kind_and_name() {
        let text = r#"
            [package]
            name = "shop"
            [lib]
            harness = false
            [[test]]
            name = "ui"
            harness = false
            [[test]]
            name = "it"
            [[bench]]
            name = "speed"
            harness = false
            [[example]]
            name = "it"
            harness = true
        "#;
        let expected = [
            (TestKind::Lib, None),
            (TestKind::Test, Some("ui".to_owned())),
            (TestKind::Bench, Some("speed".to_owned())),
        ];
        assert_eq!(harnessless(text), expected.into());
        assert_eq!(harnessless("[package]\nname = \"a\""), Harnessless::new());
    }
}
