//! Files in and out of containers: tar archives of one file.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use testcontainers::bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use testcontainers::bollard::{Docker, body_full};
use tokio::io::AsyncReadExt;
use tokio_tar::{Archive, Builder, EntryType, Header};
use tokio_util::io::StreamReader;

use super::refuse::{About, refuse};
use crate::error::{CleanroomError, Result};
use crate::service::InstanceId;

/// How many symbolic links in a row are followed.
const MOST_LINKS: usize = 8;

/// An archive of one file, owned by root.
///
/// # Errors
/// When the path is too long for an archive.
pub(super) async fn write(path: &str, contents: &[u8], mode: u32) -> Result<Bytes> {
    let mut header = Header::new_gnu();
    header.set_size(contents.len() as u64);
    header.set_mode(mode);
    let mut archive = Builder::new(Vec::new());
    let bytes = async {
        archive.append_data(&mut header, path, contents).await?;
        archive.into_inner().await
    };
    let bytes = bytes.await.map_err(|error| {
        CleanroomError::validation_error(format!("`{path}` cannot be put into an archive"))
            .with_source(error)
    })?;
    Ok(bytes.into())
}

/// Writes a file into a directory that exists.
pub(super) async fn copy_in(
    docker: &Docker,
    id: &InstanceId,
    path: &str,
    contents: &[u8],
    mode: u32,
) -> Result<()> {
    let (directory, name) = split(path)?;
    let tar = write(name, contents, mode).await?;
    let outcome = async {
        // Podman makes a directory that is not there, and Docker refuses.
        let look = ContainerArchiveInfoOptionsBuilder::new()
            .path(directory)
            .build();
        docker
            .get_container_archive_info(id.as_str(), Some(look))
            .await?;
        let options = UploadToContainerOptionsBuilder::new()
            .path(directory)
            .build();
        docker
            .upload_to_container(id.as_str(), Some(options), body_full(tar))
            .await
    };
    outcome.await.map_err(|error| {
        let about = About::instance(id.as_str());
        refuse(&format!("write `{path}`"), &about, &error)
    })
}

/// Reads a file, following symbolic links.
pub(super) async fn copy_out(docker: &Docker, id: &InstanceId, path: &str) -> Result<Bytes> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match read(docker, id, &path).await? {
            Entry::File(bytes) => return Ok(bytes),
            Entry::Link(target) => path = resolve(&path, &target),
        }
    }
    Err(
        CleanroomError::container_error(format!("cannot read `{path}`: too many symbolic links"))
            .with_context("instance", id),
    )
}

#[derive(Debug)]
enum Entry {
    File(Bytes),
    Link(String),
}

async fn read(docker: &Docker, id: &InstanceId, path: &str) -> Result<Entry> {
    let options = DownloadFromContainerOptionsBuilder::new()
        .path(path)
        .build();
    let mut chunks = docker.download_from_container(id.as_str(), Some(options));
    let action = format!("read `{path}`");
    let about = About::instance(id.as_str());
    // What the engine refuses comes in place of the first chunk.
    let first = match chunks.next().await {
        Some(chunk) => chunk.map_err(|error| refuse(&action, &about, &error))?,
        None => Bytes::new(),
    };
    let rest = chunks.map_err(std::io::Error::other);
    let chunks = futures_util::stream::iter([Ok(first)]).chain(rest);
    let failed = |why: String| {
        CleanroomError::container_error(format!("cannot {action}: {why}"))
            .with_context("instance", id)
    };
    let broken = |error: std::io::Error| failed(format!("the archive broke off: {error}"));
    let mut archive = Archive::new(StreamReader::new(Box::pin(chunks)));
    let mut entries = archive.entries().map_err(broken)?;
    let entry = entries.next().await.transpose().map_err(broken)?;
    let mut entry = entry.ok_or_else(|| failed("the archive is empty".to_owned()))?;
    match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).await.map_err(broken)?;
            Ok(Entry::File(bytes.into()))
        }
        EntryType::Symlink => {
            let target = entry.link_name().map_err(broken)?;
            let target = target.ok_or_else(|| failed("it links nowhere".to_owned()))?;
            Ok(Entry::Link(target.to_string_lossy().into_owned()))
        }
        EntryType::Directory => Err(failed("it is a directory".to_owned())),
        other => Err(failed(format!("it is no file but {other:?}"))),
    }
}

/// Directory and file name of an absolute path.
fn split(path: &str) -> Result<(&str, &str)> {
    match path.rsplit_once('/') {
        Some(("", name)) if !name.is_empty() => Ok(("/", name)),
        Some((directory, name)) if !name.is_empty() && path.starts_with('/') => {
            Ok((directory, name))
        }
        _ => Err(CleanroomError::validation_error(format!(
            "`{path}` is not the absolute path of a file"
        ))),
    }
}

/// Where a link in the directory of `path` leads.
fn resolve(path: &str, target: &str) -> String {
    if target.starts_with('/') {
        return target.to_owned();
    }
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/{target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_paths_of_files_can_be_written() {
        assert_eq!(split("/a").unwrap(), ("/", "a"));
        assert_eq!(split("/a/b").unwrap(), ("/a", "b"));
        for path in ["", "a", "a/b", "/", "/a/"] {
            assert!(split(path).is_err(), "{path}");
        }
    }

    #[test]
    fn links_lead_from_their_own_directory() {
        assert_eq!(resolve("/a/b", "c"), "/a/c");
        assert_eq!(resolve("/a/b", "../c"), "/a/../c");
        assert_eq!(resolve("/a/b", "/c"), "/c");
    }

    #[tokio::test]
    async fn long_names_and_modes_are_kept() {
        let path = format!("{}/file", "d".repeat(150));
        let bytes = write(&path, b"text", 0o600).await.unwrap();
        let mut archive = Archive::new(&*bytes);
        let mut entries = archive.entries().unwrap();
        let entry = entries.next().await.unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some(path.as_str()));
        assert_eq!(entry.header().mode().unwrap(), 0o600);
    }
}
