//! The template that slices are cloned from: built once for all runs that share a server, then closed to everybody.

use clnrm_runtime::migration::Step;
use clnrm_runtime::service::InstanceKey;
use clnrm_runtime::{CleanroomError, Result, ServiceHandle};
use tokio_postgres::error::{Error, ErrorPosition};

use crate::config::PostgresPlugin;
use crate::server::{Server, quoted, refused};

/// The name of the template: everything that it is made of, hashed.
pub(crate) fn name(steps: &[Step], server: &Server) -> String {
    name_of(steps, server.major, server.role())
}

fn name_of(steps: &[Step], major: u32, role: &str) -> String {
    let major = major.to_string();
    let parts = steps.iter().map(|step| step.sql.as_str());
    let key = InstanceKey::of(["postgres", &major, role].into_iter().chain(parts));
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

async fn fill(server: &Server, building: &str, steps: &[Step]) -> Result<()> {
    let database = server.connect_to(building).await?;
    let mut result = Ok(());
    for step in steps {
        result = database
            .send(&step.sql)
            .await
            .map_err(|error| broken(step, error));
        if result.is_err() {
            break;
        }
    }
    database.close().await;
    result
}

/// The error of a step: which file, where in it, and what the server said.
fn broken(step: &Step, error: Error) -> CleanroomError {
    let Some(answer) = error.as_db_error() else {
        return refused(&format!("run `{}`", step.name), error);
    };
    let place = match answer.position() {
        Some(ErrorPosition::Original(position)) => step.place(*position),
        _ => None,
    };
    let at = place.map_or(String::new(), |(line, column, _)| {
        format!(" at line {line}, column {column}")
    });
    let (message, code) = (answer.message(), answer.code().code());
    let name = &step.name;
    let mut broken =
        CleanroomError::service_error(format!("`{name}` failed{at}: {message} (SQLSTATE {code})"));
    if let Some((_, _, text)) = place {
        broken = broken.with_context("line", text.trim());
    }
    if let Some(detail) = answer.detail() {
        broken = broken.with_context("detail", detail);
    }
    match (answer.hint(), place) {
        (Some(hint), _) => broken.with_hint(hint),
        (None, Some((_, _, text))) if text.trim_start().starts_with('\\') => broken.with_hint(
            "commands of psql are not SQL: dump with `pg_dump --inserts`, and leave them out",
        ),
        _ => broken,
    }
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
}
