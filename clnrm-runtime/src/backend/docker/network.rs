//! Networks that containers of one owner share.

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::NetworkCreateRequest;

use super::prepared::plain;
use super::refuse::{About, is_gone, refuse};
use crate::backend::NetworkId;
use crate::error::Result;
use crate::label::Label;

/// Makes a network. Its name on the engine is `clnrm-<run>-<name>-<attempt>`, as
/// many engines have no two of one name.
pub(super) async fn create(docker: &Docker, name: &str, label: &Label) -> Result<NetworkId> {
    let request = NetworkCreateRequest {
        name: plain(&format!("clnrm-{}-{name}-{}", label.run, label.attempt)),
        labels: Some(label.to_map().into_iter().collect()),
        ..NetworkCreateRequest::default()
    };
    let answer = docker.create_network(request).await;
    let answer = answer.map_err(|error| {
        refuse(
            &format!("create network `{name}`"),
            &About::default(),
            &error,
        )
    })?;
    Ok(NetworkId(answer.id))
}

/// Removes a network; one that is gone is no error.
pub(super) async fn remove(docker: &Docker, id: &NetworkId) -> Result<()> {
    match docker.remove_network(&id.0).await {
        Ok(()) => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => {
            let about = About::default();
            Err(refuse(
                &format!("remove network `{}`", id.0),
                &about,
                &error,
            ))
        }
    }
}
