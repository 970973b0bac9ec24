//! The services that this binary declares.

use std::collections::BTreeMap;

use crate::declare::ServiceDeclaration;
use crate::error::{CleanroomError, Result};

/// Every service declared in this binary, sorted by id.
///
/// # Errors
/// When two have one id, or one name; the message names both places.
pub fn declarations() -> Result<Vec<&'static ServiceDeclaration>> {
    sorted(inventory::iter::<ServiceDeclaration>.into_iter())
}

fn sorted<'a>(
    declared: impl Iterator<Item = &'a ServiceDeclaration>,
) -> Result<Vec<&'a ServiceDeclaration>> {
    let mut all: Vec<_> = declared.collect();
    all.sort_by_key(|declaration| (declaration.id, declaration.location));
    // One id twice is one name twice as well: it is said once.
    let same_id = repeated(&all, |declaration| declaration.id);
    if let Some(first) = same_id.first() {
        return Err(refuse(
            format!("`{}` is declared twice", first.id),
            &same_id,
        ));
    }
    let same_name = repeated(&all, |declaration| declaration.name);
    if let Some(first) = same_name.first() {
        let message = format!("two services are called `{}`", first.name);
        return Err(refuse(message, &same_name));
    }
    Ok(all)
}

/// Those that share their key with another, by key.
fn repeated<'a>(
    all: &[&'a ServiceDeclaration],
    key: fn(&'a ServiceDeclaration) -> &'a str,
) -> Vec<&'a ServiceDeclaration> {
    let mut by_key: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for declaration in all {
        by_key
            .entry(key(declaration))
            .or_default()
            .push(*declaration);
    }
    by_key
        .into_values()
        .filter(|places| places.len() > 1)
        .flatten()
        .collect()
}

fn refuse(message: String, places: &[&ServiceDeclaration]) -> CleanroomError {
    let error = CleanroomError::validation_error(message)
        .with_hint("give one of them a name of its own: `#[clnrm::service(name = \"…\", …)]`");
    places.iter().fold(error, |error, place| {
        error.with_context(place.name, format!("`{}` at {}", place.id, place.location))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::{Declared, SpecPlugin};
    use crate::plugin::Location;
    use std::sync::Arc;

    fn declaration(id: &'static str, name: &'static str, line: u32) -> ServiceDeclaration {
        ServiceDeclaration {
            id,
            name,
            location: Location {
                file: "tests/it.rs",
                line,
            },
            manifest_dir: "",
            scope: None,
            optional: false,
            needs: &[],
            env: &[],
            plugin: || Ok(Arc::new(SpecPlugin::new(&Declared::default())?)),
        }
    }

    #[test]
    fn services_are_sorted_by_id() {
        let all = [declaration("p/b", "b", 1), declaration("p/a", "a", 2)];
        let ids: Vec<_> = sorted(all.iter())
            .unwrap()
            .iter()
            .map(|declaration| declaration.id)
            .collect();
        assert_eq!(ids, ["p/a", "p/b"]);
    }

    #[test]
    fn one_name_for_two_services_names_both_places() {
        let all = [
            declaration("p/b", "db", 9),
            declaration("p/c", "cache", 12),
            declaration("p/a", "db", 4),
        ];
        let error = sorted(all.iter()).unwrap_err();
        insta::assert_snapshot!(error, @r#"
        two services are called `db`
          db: `p/a` at tests/it.rs:4
          db: `p/b` at tests/it.rs:9
          hint: give one of them a name of its own: `#[clnrm::service(name = "…", …)]`
        "#);
    }

    #[test]
    fn one_id_for_two_services_names_both_places() {
        let all = [declaration("p/a", "db", 9), declaration("p/a", "db", 4)];
        let error = sorted(all.iter()).unwrap_err();
        insta::assert_snapshot!(error, @r#"
        `p/a` is declared twice
          db: `p/a` at tests/it.rs:4
          db: `p/a` at tests/it.rs:9
          hint: give one of them a name of its own: `#[clnrm::service(name = "…", …)]`
        "#);
    }
}
