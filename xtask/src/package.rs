//! Debian packages: what is missing is installed with apt, and nothing that is installed gets started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::shell::{Cmd, say, took};

/// A program, or a file by its full path, and the Debian package that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// What package scripts start and enable services with. In an installation of ours all of them do nothing.
const STARTERS: [&str; 5] = [
    "deb-systemd-helper",
    "deb-systemd-invoke",
    "invoke-rc.d",
    "systemctl",
    "update-rc.d",
];

/// The path that apt gives to package scripts.
const SCRIPT_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Installs the packages of the programs that are missing.
///
/// # Errors
///
/// Where there is no apt, no right to use it, or it fails: each says what to do by hand.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<Need> = needs
        .iter()
        .filter(|need| !is_there(need.program))
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    if !is_there("apt-get") {
        let programs: Vec<_> = missing
            .iter()
            .map(|need| format!("`{}`", need.program))
            .collect();
        return Err(Error::NoApt {
            programs: programs.join(", "),
            packages: packages.join(", "),
        });
    }
    let start = Instant::now();
    say(format_args!(
        "installing {} with apt-get; no service is started",
        packages.join(", ")
    ));
    install(&packages)?;
    say(format_args!(
        "installed {} in {}",
        packages.join(", "),
        took(start)
    ));
    match missing.iter().find(|need| !is_there(need.program)) {
        Some(need) => Err(Error::StillMissing {
            program: need.program,
            package: need.package,
        }),
        None => Ok(()),
    }
}

/// Tries with the package lists as they are, and once more with fresh ones: a new machine has none, an old one stale ones.
fn install(packages: &[&str]) -> Result<()> {
    let prefix = privilege(packages)?;
    let shield = Shield::new()?;
    let install = || {
        apt(
            prefix,
            &shield,
            &["install", "--yes", "--no-install-recommends"],
        )
        .args(packages)
        .read()
    };
    if install().is_ok() {
        return Ok(());
    }
    // A list that cannot be fetched may not matter: whether the packages can be had is what counts.
    if let Err(error) = apt(prefix, &shield, &["update"]).read() {
        say(format_args!("warning: {error}"));
    }
    match install() {
        Ok(_) => Ok(()),
        Err(reason) => Err(Error::Apt {
            packages: packages.join(" "),
            reason: Box::new(reason),
        }),
    }
}

fn apt(prefix: &'static [&'static str], shield: &Shield, args: &[&str]) -> Cmd {
    let mut words =
        prefix
            .iter()
            .copied()
            .chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    let cmd = Cmd::new(words.next().unwrap_or("env")).args(words);
    cmd.args(shield.options())
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(args)
}

/// What makes a command run as root: nothing if we are, else sudo where it asks for no password.
fn privilege(packages: &[&str]) -> Result<&'static [&'static str]> {
    if rustix::process::geteuid().is_root() {
        Ok(&[])
    } else if Cmd::new("sudo")
        .args(["--non-interactive", "true"])
        .read()
        .is_ok()
    {
        Ok(&["sudo", "--non-interactive"])
    } else {
        Err(Error::NotRoot {
            packages: packages.join(" "),
        })
    }
}

/// A directory of starters that start nothing. Package scripts find it first on their path, in our installations only,
/// so that unlike a `policy-rc.d` it changes nothing for the machine, also where we are killed.
#[derive(Debug)]
struct Shield(tempfile::TempDir);

impl Shield {
    fn new() -> Result<Self> {
        let failed = || Error::io("write the scripts that keep packages from starting services");
        let directory = tempfile::tempdir().map_err(failed())?;
        let nothing = |name: &str| -> std::io::Result<()> {
            let path = directory.path().join(name);
            fs::write(&path, "#!/bin/sh\nexit 0\n")?;
            fs::set_permissions(&path, executable())
        };
        fs::set_permissions(directory.path(), executable()).map_err(failed())?;
        STARTERS
            .iter()
            .try_for_each(|name| nothing(name))
            .map_err(failed())?;
        Ok(Self(directory))
    }

    fn options(&self) -> [String; 2] {
        [
            "-o".to_owned(),
            format!("DPkg::Path={}:{SCRIPT_PATH}", self.0.path().display()),
        ]
    }
}

fn executable() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

/// Whether a program is on PATH, or where Debian keeps servers and system programs; or a file is there.
pub(crate) fn is_there(program: &str) -> bool {
    let on_path: Vec<PathBuf> = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    on_path
        .into_iter()
        .chain(server_directories())
        .any(|directory| directory.join(program).is_file())
}

fn server_directories() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let postgres = versions.map(|version| version.join("bin"));
    ["/usr/sbin", "/sbin"]
        .iter()
        .map(|directory| Path::new(directory).to_owned())
        .chain(postgres)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Need = Need {
        program: "clnrm-no-such-program",
        package: "clnrm-no-such-package",
    };

    #[test]
    fn programs_are_found_by_name_and_files_by_path() {
        assert!(is_there("sh"));
        assert!(is_there("/bin/sh"));
        assert!(!is_there(ABSENT.program));
        assert!(!is_there("/bin/clnrm-no-such-program"));
    }

    #[test]
    fn nothing_is_installed_where_nothing_is_missing() {
        ensure(&[Need {
            program: "sh",
            package: ABSENT.package,
        }])
        .unwrap();
    }

    #[test]
    fn the_shield_comes_first_on_the_path_of_package_scripts() {
        let shield = Shield::new().unwrap();
        let [flag, option] = shield.options();
        assert_eq!(flag, "-o");
        let path = option.strip_prefix("DPkg::Path=").unwrap().to_owned();
        // Read by a shell of ours: a child that another test is just starting may have them open for writing, and nothing
        // executes such a file.
        let script = "run() { sh \"$(command -v \"$1\")\" x; }; \
                      run invoke-rc.d && run systemctl && command -v systemctl";
        let shown = Cmd::new("/bin/sh")
            .args(["-c", script])
            .env("PATH", &path)
            .read()
            .unwrap();
        assert_eq!(
            shown.trim(),
            format!("{}/systemctl", path.split(':').next().unwrap())
        );
    }

    #[test]
    fn apt_is_asked_without_questions() {
        let shield = Shield::new().unwrap();
        let shown = apt(&["sudo", "--non-interactive"], &shield, &["update"]).to_string();
        assert!(
            shown.starts_with(
                "sudo --non-interactive env DEBIAN_FRONTEND=noninteractive apt-get -o "
            ),
            "{shown}"
        );
        assert!(
            shown.ends_with("-o DPkg::Lock::Timeout=300 update"),
            "{shown}"
        );
    }
}
