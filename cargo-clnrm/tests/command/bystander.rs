//! What is none of a run's business, though it looks like another run's.

use std::process::{Child, Command, Stdio};

use crate::backend::{Backend, docker};

/// A process that carries the id of another run, and where there is an engine a container with its label.
#[derive(Debug)]
pub(crate) struct Bystander {
    process: Child,
    container: Option<String>,
}

impl Bystander {
    pub(crate) fn start(backend: Backend) -> Self {
        let process = Command::new("sleep")
            .arg("600")
            .env("CLNRM_RUN", "b15bb15bb15b")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let container = (backend == Backend::Docker).then(|| {
            let args = "run --detach --label clnrm.run=b15bb15bb15b clnrm-test/busybox:1 sleep 600";
            docker(&args.split(' ').collect::<Vec<_>>()).unwrap()
        });
        Self { process, container }
    }

    #[track_caller]
    pub(crate) fn is_untouched(&mut self) {
        assert_eq!(self.process.try_wait().unwrap(), None);
        if let Some(container) = &self.container {
            let running = docker(&["inspect", "--format", "{{.State.Running}}", container]);
            assert_eq!(running.as_deref(), Ok("true"));
        }
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // What has ended already is what the test complains of.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(container) = &self.container {
            let _ = docker(&["rm", "--force", "--volumes", container]);
        }
    }
}
