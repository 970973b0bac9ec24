//! Where reports are written: into a file's place at once, or into what is there and is no file.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_setfl};

/// A file that is written as things happen.
pub(super) fn create(path: &Path) -> io::Result<File> {
    fs::create_dir_all(directory(path))?;
    File::create(path)
}

/// Writes a whole report. A file appears at once and complete, or stays as it
/// was; a device, a pipe or a socket is written to and stays what it is.
pub(super) fn save(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory(path))?;
    match fs::metadata(path) {
        Ok(there) if there.is_file() => {
            // Behind a symlink: the link stays.
            replace(&fs::canonicalize(path)?, content, Some(there.permissions()))
        }
        Ok(_) => write_into(path, content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            replace(&missing(path)?, content, None)
        }
        Err(error) => Err(error),
    }
}

/// The path of a file that is still to be made, which a symlink may name.
fn missing(path: &Path) -> io::Result<PathBuf> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(path.to_owned());
    }
    File::create(path)?;
    fs::canonicalize(path)
}

fn replace(path: &Path, content: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    // What every new file asks for, and the umask takes its part of.
    let mut file = tempfile::Builder::new()
        .prefix(".report-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory(path))?;
    file.write_all(content)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.persist(path)?;
    Ok(())
}

fn write_into(path: &Path, content: &[u8]) -> io::Result<()> {
    // Otherwise a pipe that nobody reads would be waited for without an end.
    let mut there = OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    fcntl_setfl(&there, OFlags::empty())?;
    there.write_all(content)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    const READABLE: u32 = 0o444;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_symlink_stays_and_its_file_gets_the_report() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        let (link, file) = (
            dir.path().join("link.xml"),
            dir.path().join("elsewhere/real.xml"),
        );
        symlink("elsewhere/real.xml", &link).unwrap();
        // The first time the file is not there, the second time it is.
        for content in ["one", "two"] {
            save(&link, content.as_bytes()).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
        }
    }

    // No device is tried: of a mistake in this code the machine would lose it.
    #[test]
    fn a_pipe_stays_a_pipe_and_its_reader_gets_the_report() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        // Nobody reads it, and nobody waits for that.
        save(&path, b"lost").unwrap_err();
        // Open for both, it waits for no writer.
        let mut reader = File::options().read(true).write(true).open(&path).unwrap();
        save(&path, b"read").unwrap();
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
        let mut read = [0; 4];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"read");
    }

    #[test]
    fn a_new_file_has_the_mode_that_the_umask_leaves_and_an_old_one_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (report, other) = (dir.path().join("report"), dir.path().join("other"));
        File::create(&other).unwrap();
        save(&report, b"one").unwrap();
        assert_eq!(mode(&report), mode(&other));
        fs::set_permissions(&report, Permissions::from_mode(READABLE)).unwrap();
        save(&report, b"two").unwrap();
        assert_eq!(mode(&report), READABLE);
        assert_eq!(fs::read_to_string(&report).unwrap(), "two");
    }
}
