//! The local images of the container tests: which recipe each has, whether it is up to date, and how it is built.

use std::collections::BTreeMap;
use std::fs;
use std::io::Seek;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::package::{self, Need};
use crate::shell::{Cmd, say, took, workspace};

/// An image, and the directory below tests/images that holds its Dockerfile.
#[derive(Debug, Clone, Copy)]
struct Image {
    directory: &'static str,
    name: &'static str,
}

/// The slowest first: they are built side by side.
const IMAGES: [Image; 4] = [
    Image {
        directory: "postgres",
        name: "clnrm-test/postgres:15",
    },
    Image {
        directory: "redis",
        name: "clnrm-test/redis:7",
    },
    Image {
        directory: "web",
        name: "clnrm-test/web:1",
    },
    Image {
        directory: "busybox",
        name: "clnrm-test/busybox:1",
    },
];

/// What all Dockerfiles start from: a small Debian 12, the release that has PostgreSQL 15 and Redis 7.
const BASE: &str = "clnrm-test/debian:12";

/// How the base is made, which is part of every recipe. Neither manuals nor translations are kept.
const BASE_RECIPE: [&str; 10] = [
    "--variant=apt",
    r#"--aptopt=APT::Install-Recommends "false""#,
    r#"--aptopt=Acquire::Languages "none""#,
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-include=/usr/share/locale/locale.alias",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "bookworm",
];

const BASE_NEEDS: [Need; 2] = [
    Need {
        program: "mmdebstrap",
        package: "mmdebstrap",
    },
    Need {
        program: "/usr/share/keyrings/debian-archive-keyring.gpg",
        package: "debian-archive-keyring",
    },
];

/// The label whose value is the digest of the recipe that an image was built from.
const RECIPE: &str = "clnrm-test.recipe";

/// The label of intermediate images, which are removed after the build.
const STAGE: &str = "clnrm-test.stage";

/// The names of the images.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    IMAGES.iter().map(|image| image.name)
}

/// A container engine that answered.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) version: String,
}

/// Asks the engine for its version.
///
/// # Errors
///
/// Where `docker` is missing, or no engine answers it in time.
pub(crate) fn engine() -> Result<Engine> {
    let question = Cmd::new("docker").args(["version", "--format", "{{.Server.Version}}"]);
    match question.read_within(Duration::from_secs(20)) {
        Ok(version) => Ok(Engine {
            version: version.trim().to_owned(),
        }),
        Err(reason) => Err(Error::NoEngine {
            reason: Box::new(reason),
        }),
    }
}

/// Builds every image whose label is not the digest of its recipe, side by side.
///
/// # Errors
///
/// The first image that could not be built, with the end of its output.
pub(crate) fn build_stale(_engine: &Engine) -> Result<()> {
    let start = Instant::now();
    let base_recipe = digest(&BTreeMap::from([(
        "mmdebstrap".to_owned(),
        BASE_RECIPE.join("\n").into_bytes(),
    )]));
    let before = present()?;
    let is_built = |name, recipe: &str| {
        before
            .get(name)
            .is_some_and(|built: &Built| built.recipe == recipe)
    };
    let mut stale = Vec::new();
    for image in IMAGES {
        let recipe = recipe(&base_recipe, &directory(image))?;
        if is_built(image.name, &recipe) {
            say(format_args!("{}: up to date", image.name));
        } else {
            stale.push((image, recipe));
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    if !is_built(BASE, &base_recipe) {
        build_base(&base_recipe)?;
    }
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let builds: Vec<_> = stale
            .iter()
            .map(|(image, recipe)| scope.spawn(|| build(*image, recipe)))
            .collect();
        builds
            .into_iter()
            .map(|build| {
                build
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    remove_replaced(&before)?;
    results.into_iter().collect::<Result<()>>()?;
    say(format_args!(
        "images: {} built in {}",
        stale.len(),
        took(start)
    ));
    Ok(())
}

/// An image of ours that the engine has.
#[derive(Debug)]
struct Built {
    id: String,
    recipe: String,
}

/// Our images that the engine has, by name.
fn present() -> Result<BTreeMap<String, Built>> {
    let listing = Cmd::new("docker").args(["image", "ls", "--filter", &format!("label={RECIPE}")]);
    let names = listing
        .args(["--format", "{{.Repository}}:{{.Tag}}"])
        .read()?;
    let names: Vec<_> = names
        .lines()
        .filter(|name| name.starts_with("clnrm-test/"))
        .collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let format = format!(r#"{{{{.Id}}}} {{{{index .Config.Labels "{RECIPE}"}}}}"#);
    let images = Cmd::new("docker")
        .args(["image", "inspect", "--format", &format])
        .args(&names)
        .read()?;
    let images = images.lines().filter_map(|line| line.split_once(' '));
    let images = images.map(|(id, recipe)| Built {
        id: id.to_owned(),
        recipe: recipe.to_owned(),
    });
    Ok(names.into_iter().map(str::to_owned).zip(images).collect())
}

/// Removes the images whose names others have now, and the intermediate ones. What a container still uses stays.
fn remove_replaced(before: &BTreeMap<String, Built>) -> Result<()> {
    let now = present()?;
    let docker = || Cmd::new("docker").args(["image"]);
    for Built { id, .. } in before
        .values()
        .filter(|old| now.values().all(|new| new.id != old.id))
    {
        let _ = docker().args(["rm", id]).read();
    }
    let _ = docker()
        .args(["prune", "--force", "--filter", &format!("label={STAGE}")])
        .read();
    Ok(())
}

fn build_base(recipe: &str) -> Result<()> {
    let start = Instant::now();
    package::ensure(&BASE_NEEDS)?;
    say(format_args!("{BASE}: building"));
    let failed = |reason| Error::Image {
        image: BASE,
        reason: Box::new(reason),
    };
    // A file without a name needs no removal, and only a complete root file system is imported.
    let mut root = tempfile::tempfile().map_err(Error::io("make a temporary file"))?;
    let copy = root
        .try_clone()
        .map_err(Error::io("share a temporary file"))?;
    Cmd::new("mmdebstrap")
        .args(BASE_RECIPE)
        .args(["-"])
        .stream_to(copy, |line| {
            if let Some(step) = line.strip_prefix("I: ") {
                say(format_args!("{BASE}: {}", shortened(step)));
            }
        })
        .map_err(failed)?;
    root.rewind().map_err(Error::io("read a temporary file"))?;
    let label = format!("LABEL {RECIPE}={recipe}");
    Cmd::new("docker")
        .args(["import", "--change", &label, "-", BASE])
        .input(root)
        .read()
        .map_err(failed)?;
    say(format_args!("{BASE}: built in {}", took(start)));
    Ok(())
}

fn build(image: Image, recipe: &str) -> Result<()> {
    let start = Instant::now();
    say(format_args!("{}: building", image.name));
    // The classic builder is in every engine; BuildKit needs a plugin that Debian does not install with docker.io.
    let docker = Cmd::new("docker").env("DOCKER_BUILDKIT", "0").args([
        "build",
        "--force-rm",
        "--network",
        "host",
    ]);
    let label = format!("{RECIPE}={recipe}");
    docker
        .args(["--label", &label, "--tag", image.name])
        .args([directory(image)])
        .stream(|line| {
            if line.starts_with("Step ") {
                say(format_args!("{}: {}", image.name, shortened(line)));
            }
        })
        .map_err(|reason| Error::Image {
            image: image.name,
            reason: Box::new(reason),
        })?;
    say(format_args!("{}: built in {}", image.name, took(start)));
    Ok(())
}

fn directory(image: Image) -> PathBuf {
    workspace().join("tests/images").join(image.directory)
}

/// A line that fits beside an image's name.
fn shortened(line: &str) -> String {
    const WIDTH: usize = 80;
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or(&words)),
        None => words,
    }
}

/// The digest of everything that an image is made from.
fn recipe(base_recipe: &str, directory: &Path) -> Result<String> {
    let mut parts = BTreeMap::from([("base".to_owned(), base_recipe.as_bytes().to_vec())]);
    let failed = || Error::io(format!("read `{}`", directory.display()));
    for entry in fs::read_dir(directory).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let mode = path.metadata().map_err(failed())?.permissions().mode();
        let kind = if mode & 0o100 == 0 { "file" } else { "program" };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        parts.insert(format!("{kind} {name}"), fs::read(&path).map_err(failed())?);
    }
    Ok(digest(&parts))
}

/// The lengths keep two divisions of the same bytes apart.
fn digest(parts: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    for (name, content) in parts {
        for bytes in [name.as_bytes(), content] {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(parts: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        parts
            .iter()
            .map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn a_digest_tells_names_contents_and_their_division_apart() {
        let known = digest(&parts(&[("a", "xy"), ("b", "z")]));
        assert_eq!(known, digest(&parts(&[("b", "z"), ("a", "xy")])));
        assert_eq!(known.len(), 64);
        for other in [
            &[("a", "xy"), ("b", "")][..],
            &[("a", "x"), ("b", "yz")],
            &[("ax", "y"), ("b", "z")],
        ] {
            assert_ne!(known, digest(&parts(other)), "{other:?}");
        }
    }

    #[test]
    fn a_recipe_changes_with_its_files_their_modes_and_the_base() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("entrypoint.sh");
        fs::write(&script, "exec true").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
        let recipe = |base| recipe(base, directory.path()).unwrap();
        let first = recipe("base");
        assert_eq!(first, recipe("base"));
        let mut seen = vec![first, recipe("other base")];
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        seen.push(recipe("base"));
        fs::write(&script, "exec false").unwrap();
        seen.push(recipe("base"));
        fs::write(directory.path().join("Dockerfile"), "FROM scratch").unwrap();
        seen.push(recipe("base"));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn every_image_has_a_dockerfile() {
        for image in IMAGES {
            assert!(
                directory(image).join("Dockerfile").is_file(),
                "{}",
                image.name
            );
        }
    }

    #[test]
    fn a_step_is_shown_on_one_line() {
        assert_eq!(
            shortened("Step 1/3 : FROM scratch"),
            "Step 1/3 : FROM scratch"
        );
        assert_eq!(shortened("RUN  a;     b"), "RUN a; b");
        assert_eq!(shortened(&"é".repeat(100)).chars().count(), 81);
    }
}
