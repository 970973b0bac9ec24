//! Where reports are written: into a file's place at once, or into what is open already or is no file.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_setfl};

/// As many links as the kernel follows before it sees a circle.
const LINKS: usize = 40;

/// A file that is written as things happen. One that is open already gets the
/// lines behind what is in it.
pub(super) fn create(path: &Path) -> io::Result<File> {
    fs::create_dir_all(directory(path))?;
    match leads_to(path)? {
        Place::Path(path) => File::create(path),
        Place::Open(file) => Ok(file),
    }
}

/// Writes a whole report. A file appears at once and complete, or stays as it
/// was; a device, a pipe, a socket and a file that is open already are written
/// to and stay what they are.
pub(super) fn save(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory(path))?;
    let path = match leads_to(path)? {
        Place::Path(path) => path,
        Place::Open(mut file) => return file.write_all(content),
    };
    match fs::metadata(&path) {
        Ok(there) if there.is_file() => replace(&path, content, Some(there.permissions())),
        Ok(_) => open(&path)?.write_all(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(&path, content, None),
        Err(error) => Err(error),
    }
}

/// What a report's path means.
enum Place {
    /// The path itself, its symlinks followed; there may be nothing yet.
    Path(PathBuf),
    /// Something that others write to as well, and that would be lost to them.
    Open(File),
}

fn leads_to(path: &Path) -> io::Result<Place> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    found(path, &[stdout.as_fd(), stderr.as_fd()])
}

/// `ours` are open already by whatever path; so is all that `/proc` has, where
/// `/dev/stdout` and `/dev/fd` lead.
fn found(path: &Path, ours: &[BorrowedFd<'_>]) -> io::Result<Place> {
    if let Ok(there) = fs::metadata(path) {
        for stream in ours {
            let stream = File::from(stream.try_clone_to_owned()?);
            let same = stream.metadata()?;
            if (same.dev(), same.ino()) == (there.dev(), there.ino()) {
                return Ok(Place::Open(stream));
            }
        }
    }
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let directory = fs::canonicalize(directory(&path))?;
        if directory.starts_with("/proc") {
            return open(&path).map(Place::Open);
        }
        let Some(name) = path.file_name() else {
            return Ok(Place::Path(path));
        };
        path = directory.join(name);
        match fs::read_link(&path) {
            Ok(to) => path = directory.join(to),
            Err(_) => return Ok(Place::Path(path)),
        }
    }
    Err(io::ErrorKind::InvalidInput.into())
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

/// Opens what is there, to write behind what is in it.
fn open(path: &Path) -> io::Result<File> {
    // Otherwise a pipe that nobody reads would be waited for without an end.
    let there = OpenOptions::new()
        .append(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    fcntl_setfl(&there, OFlags::APPEND)?;
    Ok(there)
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
    use std::os::fd::AsRawFd;
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

    #[test]
    fn what_is_open_already_keeps_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let (log, link) = (dir.path().join("log"), dir.path().join("link"));
        fs::write(&log, "earlier\n").unwrap();
        let mut shared = File::options().append(true).open(&log).unwrap();
        symlink(format!("/proc/self/fd/{}", shared.as_raw_fd()), &link).unwrap();
        save(&link, b"whole\n").unwrap();
        create(&link).unwrap().write_all(b"line\n").unwrap();
        shared.write_all(b"later\n").unwrap();
        let lines = "earlier\nwhole\nline\nlater\n";
        assert_eq!(fs::read_to_string(&log).unwrap(), lines);
    }

    #[test]
    fn a_report_goes_where_the_command_itself_writes() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        // Not opened for appending, as by `> log`.
        let mut ours = File::create(&log).unwrap();
        ours.write_all(b"earlier\n").unwrap();
        let stream = ours.try_clone().unwrap();
        let Place::Open(mut report) = found(&log, &[stream.as_fd()]).unwrap() else {
            panic!();
        };
        report.write_all(b"report\n").unwrap();
        ours.write_all(b"later\n").unwrap();
        let lines = "earlier\nreport\nlater\n";
        assert_eq!(fs::read_to_string(&log).unwrap(), lines);
    }

    #[test]
    fn a_link_to_nothing_leads_to_a_place_where_nothing_is_made_yet() {
        let dir = tempfile::tempdir().unwrap();
        let (link, file) = (dir.path().join("link"), dir.path().join("file"));
        symlink("file", &link).unwrap();
        let Place::Path(place) = found(&link, &[]).unwrap() else {
            panic!();
        };
        assert_eq!(place, fs::canonicalize(dir.path()).unwrap().join("file"));
        assert!(!file.exists());
        symlink("circle", dir.path().join("circle")).unwrap();
        save(&dir.path().join("circle"), b"x").unwrap_err();
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
