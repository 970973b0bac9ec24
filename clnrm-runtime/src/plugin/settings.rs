//! The settings of a server that a user adds to the plugin's own.

use std::collections::BTreeMap;

use super::Mistakes;

/// Which settings a type of server has, as far as names tell.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The server, as messages call it.
    pub server: &'static str,
    /// What stands in names besides lower-case letters and digits.
    pub punctuation: &'static str,
    /// What names look like, for the hint.
    pub example: &'static str,
    /// Names that are not the user's to set.
    pub reserved: &'static [&'static str],
    /// What to do instead, for the hint.
    pub instead: &'static str,
}

impl Mistakes {
    /// Checks the names of `settings`. No value has a NUL: it could be handed to no program.
    pub fn check_settings(&mut self, rules: &Settings, settings: &BTreeMap<String, String>) {
        for (key, value) in settings {
            let is_key = |c: char| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || rules.punctuation.contains(c)
            };
            self.refuse_if(
                key.is_empty() || !key.chars().all(is_key) || value.contains('\0'),
                format!("`{key}` is no setting of {}", rules.server),
                format!("settings look like {}", rules.example),
            );
            self.refuse_if(
                rules.reserved.contains(&key.as_str()),
                format!("setting `{key}` is not free"),
                rules.instead,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_reserved_names_are_told() {
        let rules = Settings {
            server: "Redis",
            punctuation: "-",
            example: "`maxmemory-policy`",
            reserved: &["port"],
            instead: "leave it out",
        };
        let check = |key: &str, value: &str| {
            let mut mistakes = Mistakes::default();
            let settings = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            mistakes.check_settings(&rules, &settings);
            let error = mistakes.into_result("x").err();
            error.map_or(String::new(), |error| error.to_string())
        };
        assert_eq!(check("maxmemory-policy", "allkeys-lru"), "");
        let hint = "\n  hint: settings look like `maxmemory-policy`";
        for (key, value) in [("", ""), ("a b", ""), ("A", ""), ("a.b", ""), ("a", "\0")] {
            assert_eq!(
                check(key, value),
                format!("`{key}` is no setting of Redis{hint}")
            );
        }
        assert_eq!(
            check("port", "1"),
            "setting `port` is not free\n  hint: leave it out"
        );
    }
}
