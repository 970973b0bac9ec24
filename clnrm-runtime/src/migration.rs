//! The SQL that prepares a database: scripts and directories of migrations, read and put in order.
//!
//! How it is sent is the plugin's: nothing here knows a server.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{CleanroomError, Result};

/// SQL that runs before the migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// A file.
    File(PathBuf),
    /// The text itself.
    Sql(String),
}

/// SQL that is sent whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The file, as it was configured, or the number of the text.
    pub name: String,
    /// The text.
    pub sql: String,
}

/// What a plugin is configured with: scripts first, then the files of the
/// directories in the order of their names, in which runs of digits count as
/// numbers.
#[derive(Debug, Clone, Copy)]
pub struct Migrations<'a> {
    /// What relative paths mean.
    pub base: &'a Path,
    /// What runs first.
    pub scripts: &'a [Script],
    /// Directories of `*.sql` files, or of directories with an `up.sql` in them;
    /// `*.down.sql` is left out.
    pub directories: &'a [PathBuf],
}

impl Migrations<'_> {
    /// Everything, in the order in which it runs.
    ///
    /// # Errors
    /// When a file cannot be read, or a directory has no migration.
    pub fn steps(&self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for (number, script) in (1..).zip(self.scripts) {
            steps.push(match script {
                Script::File(path) => self.read(path)?,
                Script::Sql(sql) => Step::new(format!("init script {number}"), sql),
            });
        }
        for dir in self.directories {
            for path in self.list(dir)? {
                steps.push(self.read(&path)?);
            }
        }
        Ok(steps)
    }

    /// For [`ServicePlugin::config`](crate::ServicePlugin::config): the texts, and where files stand among
    /// them. What these are called makes no difference.
    #[must_use]
    pub fn config(&self) -> serde_json::Value {
        let scripts = self.scripts.iter().map(|script| match script {
            Script::File(_) => serde_json::json!("file"),
            Script::Sql(sql) => serde_json::json!({ "sql": sql }),
        });
        scripts.collect()
    }

    /// For [`ServicePlugin::inputs`](crate::ServicePlugin::inputs): files and directories.
    #[must_use]
    pub fn inputs(&self) -> Vec<PathBuf> {
        let files = self.scripts.iter().filter_map(|script| match script {
            Script::File(path) => Some(path),
            Script::Sql(_) => None,
        });
        let inputs = files.chain(self.directories);
        inputs.map(|path| self.base.join(path)).collect()
    }

    fn read(&self, path: &Path) -> Result<Step> {
        let name = path.display().to_string();
        let sql = fs::read_to_string(self.base.join(path))
            .map_err(|error| self.unreadable(&name, &error, "name a file of SQL, in UTF-8"))?;
        Ok(Step::new(name, &sql))
    }

    /// The migrations of a directory, in the order in which they run.
    fn list(&self, dir: &Path) -> Result<Vec<PathBuf>> {
        let name = dir.display().to_string();
        let failed = |error| self.unreadable(&name, &error, "name a directory of `*.sql` files");
        let mut files = Vec::new();
        for entry in fs::read_dir(self.base.join(dir)).map_err(failed)? {
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

    fn unreadable(&self, name: &str, error: &std::io::Error, hint: &str) -> CleanroomError {
        let error = CleanroomError::validation_error(format!("cannot read `{name}`: {error}"));
        let error = error.with_hint(hint);
        match self.base.as_os_str().is_empty() {
            true => error,
            false => error.with_context("in", self.base.display()),
        }
    }
}

impl Step {
    /// A text without the mark that editors of Windows begin it with: no server
    /// takes that for SQL, and nobody sees it.
    #[must_use]
    pub fn new(name: String, text: &str) -> Self {
        let sql = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        Self { name, sql }
    }

    /// The error of a server that refuses it: what it said, and the position
    /// where it stopped, as [`place`](Self::place) reads it.
    #[must_use]
    pub fn failed(&self, answer: &str, position: Option<u32>) -> CleanroomError {
        let name = &self.name;
        let Some((line, column, text)) = position.and_then(|position| self.place(position)) else {
            return CleanroomError::service_error(format!("`{name}` failed: {answer}"));
        };
        let at = format!("line {line}, column {column}");
        CleanroomError::service_error(format!("`{name}` failed at {at}: {answer}"))
            .with_context("line", text.trim())
    }

    /// The error of a text that ends inside a transaction: all of it would be
    /// lost, and nobody would hear of that.
    #[must_use]
    pub fn left_open(&self) -> CleanroomError {
        let message = format!("`{}` leaves a transaction open", self.name);
        CleanroomError::service_error(message).with_hint(
            "it has a `BEGIN` without `COMMIT`: add that, or leave both out, since a file is a transaction of its own",
        )
    }

    /// Line, column and text of the line at a position, in characters, all from 1:
    /// for the error of a server that says where it stopped.
    #[must_use]
    pub fn place(&self, position: u32) -> Option<(usize, usize, &str)> {
        let mut before = usize::try_from(position).ok()?.checked_sub(1)?;
        for (number, line) in (1..).zip(self.sql.split('\n')) {
            let length = line.chars().count();
            if before <= length {
                return Some((number, before + 1, line));
            }
            before -= length + 1;
        }
        None
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

    #[test]
    fn a_position_counts_characters() {
        let place = |sql: &str, position| {
            let step = Step {
                name: "x".to_owned(),
                sql: sql.to_owned(),
            };
            let place = step.place(position);
            place.map(|(line, column, text)| (line, column, text.to_owned()))
        };
        assert_eq!(
            place("SELECT 1;\n-- ä\nSELEC 2", 16),
            Some((3, 1, "SELEC 2".to_owned()))
        );
        assert_eq!(place("SELECT", 1), Some((1, 1, "SELECT".to_owned())));
        assert_eq!(place("a\nb", 2), Some((1, 2, "a".to_owned())));
        assert_eq!(place("a", 0), None);
        assert_eq!(place("a", 9), None);
    }
}
