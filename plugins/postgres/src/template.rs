//! The template that slices are cloned from: built once for all runs that share a server, then closed to everybody.

use clnrm_runtime::migration::Step;
use clnrm_runtime::service::InstanceKey;
use clnrm_runtime::{CleanroomError, Result, ServiceHandle};
use tokio_postgres::error::{Error, ErrorPosition, SqlState};

use crate::config::PostgresPlugin;
use crate::server::{Server, quoted, refused};

/// How the SQL becomes a template: raised when the same SQL becomes another one,
/// because those of earlier versions stay on servers of somebody else's.
const RECIPE: &str = "2";

/// The name of the template: everything that it is made of, hashed.
pub(crate) fn name(steps: &[Step], server: &Server) -> String {
    name_of(steps, server.major, server.role())
}

fn name_of(steps: &[Step], major: u32, role: &str) -> String {
    let major = major.to_string();
    let parts = steps.iter().map(|step| step.sql.as_str());
    let key = InstanceKey::of(["postgres", RECIPE, &major, role].into_iter().chain(parts));
    format!("clnrm_tpl_{key}")
}

/// Makes the template, and a first clone of it where the server is ours.
pub(crate) async fn prepare(plugin: &PostgresPlugin, handle: &ServiceHandle) -> Result<()> {
    let steps = plugin.sql().steps()?;
    let server = Server::connect(handle).await?;
    let template = name(&steps, &server);
    build(&server, &template, &steps).await?;
    if server.is_external {
        return Ok(());
    }
    // Of two at once one would be refused: a role is updated by one alone.
    server.lock("clnrm_role").await?;
    server.keep_verifier(&plugin.verifier()).await?;
    match server.has(&plugin.database).await? {
        true => Ok(()),
        false => server.clone_database(&template, &plugin.database).await,
    }
}

/// Builds the template unless it is there. Two that build at once follow each other.
///
/// It is renamed last, so a template that has its name is whole: nobody can
/// connect to it, and so no clone of it ever waits.
async fn build(server: &Server, template: &str, steps: &[Step]) -> Result<()> {
    server.lock(template).await?;
    if server.has(template).await? {
        return Ok(());
    }
    let building = format!("{template}_building");
    server.drop_database(&building).await?;
    let (from, to) = (quoted(&building), quoted(template));
    let what = format!("build `{template}`");
    server
        .run(&what, &format!("CREATE DATABASE {from}"))
        .await?;
    let filled = fill(server, &building, steps).await;
    if filled.is_err() {
        // The first error says more than one of the clean-up.
        let _ = server.drop_database(&building).await;
        return filled;
    }
    let close = format!("ALTER DATABASE {from} ALLOW_CONNECTIONS false IS_TEMPLATE true");
    server.run(&what, &close).await?;
    server.disconnect_all(&building).await?;
    server
        .run(&what, &format!("ALTER DATABASE {from} RENAME TO {to}"))
        .await
}

/// Each step has a session of its own, as each file that `psql` is given: what
/// one sets is not set for the next.
async fn fill(server: &Server, building: &str, steps: &[Step]) -> Result<()> {
    for step in steps {
        let session = server.connect_to(building).await?;
        match run(&session, step).await {
            Ok(()) => session.close().await,
            Err(error) => {
                session.abort();
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Runs a step. It is lost with its session where it leaves a transaction open.
async fn run(session: &Server, step: &Step) -> Result<()> {
    let sent = session.send(&step.sql).await;
    sent.map_err(|error| broken(step, error))?;
    // Nothing of the session is needed any more, and a transaction refuses this.
    session.send("DISCARD ALL").await.map_err(|error| {
        match error.code() == Some(&SqlState::ACTIVE_SQL_TRANSACTION) {
            true => step.left_open(),
            false => broken(step, error),
        }
    })
}

/// The error of a step: which file, where in it, and what the server said.
fn broken(step: &Step, error: Error) -> CleanroomError {
    let hint = is_for_psql(step, &error).then_some(
        "commands of psql, and data after `COPY … FROM stdin`, are not SQL: dump with `pg_dump --inserts`, and leave them out",
    );
    let Some(answer) = error.as_db_error() else {
        let refused = refused(&format!("run `{}`", step.name), error);
        return hint.into_iter().fold(refused, CleanroomError::with_hint);
    };
    let position = match answer.position() {
        Some(ErrorPosition::Original(position)) => Some(*position),
        _ => None,
    };
    let (message, code) = (answer.message(), answer.code().code());
    let mut broken = step.failed(&format!("{message} (SQLSTATE {code})"), position);
    if let Some(detail) = answer.detail() {
        broken = broken.with_context("detail", detail);
    }
    let hint = answer.hint().or(hint);
    hint.into_iter().fold(broken, CleanroomError::with_hint)
}

/// Whether it has what only `psql` reads, and that may be what failed.
fn is_for_psql(step: &Step, error: &Error) -> bool {
    let may_be = error
        .code()
        .is_none_or(|code| *code == SqlState::SYNTAX_ERROR);
    let text = step.sql.to_ascii_lowercase();
    let has_command = text.lines().any(|line| line.trim_start().starts_with('\\'));
    let words: Vec<_> = text.split_whitespace().collect();
    let from_stdin = |pair: &[&str]| matches!(pair, ["from", to] if to.starts_with("stdin"));
    may_be && (has_command || words.windows(2).any(from_stdin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(sql: &str) -> Step {
        Step {
            name: "x".to_owned(),
            sql: sql.to_owned(),
        }
    }

    #[test]
    fn the_name_says_all_that_the_template_is_made_of() {
        let base = name_of(&[step("a"), step("b")], 15, "me");
        assert_eq!(base, name_of(&[step("a"), step("b")], 15, "me"));
        for other in [
            name_of(&[step("ab")], 15, "me"),
            name_of(&[step("b"), step("a")], 15, "me"),
            name_of(&[step("a"), step("b")], 16, "me"),
            name_of(&[step("a"), step("b")], 15, "you"),
        ] {
            assert_ne!(base, other);
        }
        assert!(base.len() + "_building".len() <= 63);
    }

    /// Those that earlier versions built otherwise stay on servers of somebody else's.
    #[test]
    fn a_template_of_the_first_recipe_is_not_taken() {
        assert_ne!(
            name_of(&[step("a")], 15, "me"),
            "clnrm_tpl_bfe432f9406b49b1"
        );
    }
}
