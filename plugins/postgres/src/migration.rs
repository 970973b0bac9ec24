//! The SQL that makes a template: read, and put in order.

use std::fs;
use std::path::{Path, PathBuf};

use clnrm_runtime::{CleanroomError, Result};

use crate::config::{PostgresPlugin, Script};

/// SQL that is sent whole.
#[derive(Debug)]
pub(crate) struct Step {
    /// The file, as it was configured, or the number of the text.
    pub(crate) name: String,
    pub(crate) sql: String,
}

/// Everything that makes the template of `plugin`, in order.
pub(crate) fn steps(plugin: &PostgresPlugin) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (number, script) in (1..).zip(&plugin.init) {
        steps.push(match script {
            Script::File(path) => read(&plugin.base, path)?,
            Script::Sql(sql) => Step {
                name: format!("init script {number}"),
                sql: sql.clone(),
            },
        });
    }
    for dir in &plugin.migrations {
        for path in list(&plugin.base, dir)? {
            steps.push(read(&plugin.base, &path)?);
        }
    }
    Ok(steps)
}

fn read(base: &Path, path: &Path) -> Result<Step> {
    let name = path.display().to_string();
    let sql = fs::read_to_string(base.join(path))
        .map_err(|error| unreadable(base, &name, &error, "name a file of SQL, in UTF-8"))?;
    Ok(Step { name, sql })
}

/// The migrations of a directory, in the order in which they run.
fn list(base: &Path, dir: &Path) -> Result<Vec<PathBuf>> {
    let name = dir.display().to_string();
    let failed = |error| unreadable(base, &name, &error, "name a directory of `*.sql` files");
    let mut files = Vec::new();
    for entry in fs::read_dir(base.join(dir)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_sql = name.ends_with(".sql") && !name.ends_with(".down.sql");
        let up = Path::new(&name).join("up.sql");
        if is_sql && entry.path().is_file() {
            files.push((natural(&name), dir.join(name)));
        } else if entry.path().join("up.sql").is_file() {
            files.push((natural(&name), dir.join(up)));
        }
    }
    if files.is_empty() {
        let message = format!("there is no migration in `{name}`");
        return Err(CleanroomError::validation_error(message)
            .with_hint("put `*.sql` files there, or directories with an `up.sql`"));
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

fn unreadable(base: &Path, name: &str, error: &std::io::Error, hint: &str) -> CleanroomError {
    let error = CleanroomError::validation_error(format!("cannot read `{name}`: {error}"));
    let error = error.with_hint(hint);
    match base.as_os_str().is_empty() {
        true => error,
        false => error.with_context("in", base.display()),
    }
}

/// A part of a name, such that parts compare as people read them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Digits without leading zeros, their count first.
    Number(usize, String),
    Text(String),
}

fn natural(name: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_number);
        let (part, tail) = rest.split_at(end.unwrap_or(rest.len()));
        parts.push(if is_number {
            let digits = part.trim_start_matches('0');
            Part::Number(digits.len(), digits.to_owned())
        } else {
            Part::Text(part.to_owned())
        });
        rest = tail;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_order(names: &[&str]) {
        let mut sorted = names.to_vec();
        sorted.reverse();
        sorted.sort_by_key(|name| (natural(name), *name));
        assert_eq!(sorted, names);
    }

    #[test]
    fn names_sort_as_people_count() {
        check_order(&["0001_a.sql", "0002_b.sql", "0010_c.sql"]);
        check_order(&["V1__a.sql", "V2__b.sql", "V10__a.sql"]);
        check_order(&["1_a.sql", "2_b.sql", "10_a.sql"]);
        check_order(&["20240101120000_a.sql", "20240101120001_b.sql"]);
        check_order(&["2024-9-1.sql", "2024-10-1.sql"]);
        check_order(&["00_a.sql", "0_b.sql", "1.sql"]);
        check_order(&["99999999999999999999.sql", "100000000000000000000.sql"]);
    }
}
