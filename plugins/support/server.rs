//! Runs the process of a plugin's spec by hand, for tests of its hooks alone; it decides nothing that the engine decides.
#![allow(dead_code, reason = "the tests of each plugin use a part of it")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clnrm_runtime::plugin::External;
use clnrm_runtime::service::{
    File as SpecFile, NamedProgram, ProcessSpec, Program, Spec, StopSignal, Template,
};
use clnrm_runtime::{ServiceHandle, ServicePlugin};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// A running server; its drop stops it and removes its directory.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    command: Command,
    spec: Spec,
    port: u16,
    dir: TempDir,
}

impl Server {
    /// Starts what `plugin` says, and returns when its `ready` succeeds.
    pub(crate) fn start(plugin: &dyn ServicePlugin) -> Self {
        let server = Self::spawn(plugin);
        server.wait(plugin);
        server
    }

    /// Starts what `plugin` says, ready or not.
    pub(crate) fn spawn(plugin: &dyn ServicePlugin) -> Self {
        let spec = plugin.spec().unwrap().unwrap();
        let process = spec.process.clone().unwrap();
        let dir = tempfile::Builder::new()
            .prefix("clnrm-t")
            .tempdir()
            .unwrap();
        let user = process.refuses_root.then(unprivileged).flatten();
        let files = Files {
            user,
            root: dir.path(),
        };
        fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
        files.own(&files.directory("data"));
        let program = find(&process.program);
        let port = free_port();
        let render = |template: &Template| {
            let hole = |hole: &str| match hole {
                "host" => Some(Ipv4Addr::LOCALHOST.to_string()),
                "port" => Some(port.to_string()),
                "data_dir" | "seed_dir" => Some(dir.path().join("data").display().to_string()),
                name => spec.vars.get(name).map(|var| var.value.clone()),
            };
            template.render(hole).unwrap()
        };
        files.seed(&process, &program, &render);
        files.write(&process.files);
        let log = File::create(dir.path().join("log")).unwrap();
        let env = spec.env.iter().chain(&process.env);
        let mut command = files.command(&program);
        command
            .args(process.args.iter().map(&render))
            .envs(env.map(|(name, value)| (name, render(value))))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = command.spawn().unwrap();
        Self {
            child,
            command,
            spec,
            port,
            dir,
        }
    }

    /// Stops it, starts it with its data, and returns when it is ready.
    pub(crate) fn restart(&mut self, plugin: &dyn ServicePlugin) {
        self.stop();
        self.child = self.command.spawn().unwrap();
        self.wait(plugin);
    }

    fn wait(&self, plugin: &dyn ServicePlugin) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while let Err(error) = plugin.ready(&self.handle()) {
            assert!(
                Instant::now() < deadline,
                "not ready: {error:?}\n{}",
                self.log()
            );
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    fn stop(&mut self) {
        let signal = match self.spec.stop.signal {
            StopSignal::Term => Signal::TERM,
            StopSignal::Int => Signal::INT,
            StopSignal::Quit => Signal::QUIT,
            StopSignal::Kill => Signal::KILL,
        };
        // One that has ended already needs no signal.
        let _ = kill_process(Pid::from_child(&self.child), signal);
        let _ = self.child.wait();
    }

    /// The handle that the engine would give out.
    pub(crate) fn handle(&self) -> ServiceHandle {
        // Nothing but the engine makes handles of its backends.
        let mut handle = serde_json::to_value(self.external_handle()).unwrap();
        handle["core"]["backend"] = "process".into();
        serde_json::from_value(handle).unwrap()
    }

    /// The handle that somebody else's server would have.
    pub(crate) fn external_handle(&self) -> ServiceHandle {
        let external = External::new(&Ipv4Addr::LOCALHOST.to_string(), self.port, BTreeMap::new());
        ServiceHandle::external("server", &self.spec, external)
    }

    /// Where it lives.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The files of one server, and who owns them.
struct Files<'a> {
    user: Option<(u32, u32)>,
    root: &'a Path,
}

impl Files<'_> {
    fn directory(&self, name: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn own(&self, path: &Path) {
        if let Some((uid, gid)) = self.user {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    fn write(&self, files: &[SpecFile]) {
        for file in files {
            let path = self.root.join(&file.path);
            fs::write(&path, &file.contents).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(file.mode)).unwrap();
            self.own(&path);
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.root)
            .env_clear()
            .stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn seed(&self, process: &ProcessSpec, program: &Path, render: &dyn Fn(&Template) -> String) {
        let Some(seed) = &process.seed else { return };
        let files = Files {
            user: self.user,
            root: &self.directory("seed"),
        };
        files.own(files.root);
        files.write(&seed.files);
        let output = files
            .command(&program.with_file_name(&seed.program))
            .args(seed.args.iter().map(render))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{}` failed: {text}", seed.program);
        fs::remove_dir_all(files.root).unwrap();
    }
}

/// Whom a server runs as that refuses root.
fn unprivileged() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")))?;
        let ids: Vec<u32> = line
            .split(':')
            .filter_map(|field| field.parse().ok())
            .collect();
        Some((*ids.first()?, *ids.get(1)?))
    };
    Some(find("postgres").or_else(|| find("nobody")).unwrap())
}

fn find(program: &Program) -> PathBuf {
    let Program::Named(NamedProgram {
        name,
        well_known,
        version,
        ..
    }) = program
    else {
        panic!("the spec names no server")
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = well_known.iter().flat_map(|dir| match dir.split_once('*') {
        // The one star of these patterns stands for the preferred version.
        Some((before, after)) => {
            let version = version.as_deref().unwrap_or("*");
            vec![PathBuf::from(format!("{before}{version}{after}"))]
        }
        None => vec![PathBuf::from(dir)],
    });
    let mut places = std::env::split_paths(&path).chain(installed);
    places
        .find_map(|dir| Some(dir.join(name)).filter(|path| path.is_file()))
        .unwrap_or_else(|| {
            panic!(
                "`{name}` is not installed (hint: `cargo xtask test` installs what the tests need)"
            )
        })
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // A connection that ends here first leaves the port in TIME_WAIT: no other
    // program is given it, and a server may still listen on it.
    let client = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (server, _) = listener.accept().unwrap();
    // A child that another test is just starting has these sockets too, and must not listen in the server's place.
    server.shutdown(std::net::Shutdown::Both).unwrap();
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Read).unwrap();
    drop(client);
    port
}
