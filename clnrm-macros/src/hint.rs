//! The names that a misspelt one may have meant.

/// Likeness, of 0 to 1, from which a name is worth suggesting.
const NEAR: f64 = 0.75;

/// ``did you mean `x`?``, or all the names that there are.
pub(crate) fn instead<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known = known.into_iter().collect::<Vec<_>>();
    match nearest(word, &known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => match known.as_slice() {
            [] => "there are none here".to_owned(),
            [only] => format!("there is `{only}`"),
            _ => format!("there are {}", list(&known)),
        },
    }
}

/// The name that is most like `word`, if any is like it.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(word, name), *name))
        .filter(|(likeness, _)| *likeness > NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// `` `a`, `b` and `c` ``.
pub(crate) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [rest @ .., last] => format!("`{}` and `{last}`", rest.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_else_all_are_listed() {
        assert_eq!(instead("redy", ["image", "ready"]), "did you mean `ready`?");
        assert_eq!(
            instead("zzz", ["a", "b", "c"]),
            "there are `a`, `b` and `c`"
        );
        assert_eq!(instead("zzz", ["a"]), "there is `a`");
        assert_eq!(instead("zzz", []), "there are none here");
    }
}
