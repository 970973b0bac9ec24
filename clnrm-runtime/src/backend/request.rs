//! What the engine asks of a backend when it wants an instance.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::service::{ImageRef, InstanceKey, Spec};

/// A network of a backend, in its words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkId(pub String);

/// What the plan settled on, so that no backend decides it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// This image, which is present. `[images]` has been applied.
    Image(ImageRef),
    /// This program, which exists.
    Program {
        /// Its absolute path.
        path: PathBuf,
        /// What it says its version is.
        version: Option<String>,
    },
}

/// An instance to be made.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The service's name: also its alias in a network.
    pub service: String,
    /// What the run shares it by.
    pub key: InstanceKey,
    /// What goes on everything that is made.
    pub label: Label,
    /// How to run it.
    pub spec: Spec,
    /// What to run.
    pub source: Source,
    /// `field.export` of every dependency, as this instance has to read it.
    pub needs: BTreeMap<String, String>,
    /// The network to join under the service's name and aliases, where the
    /// backend has networks.
    pub network: Option<NetworkId>,
    /// Further networks to join without a name: those of dependencies that
    /// another owner has.
    pub joins: Vec<NetworkId>,
}

/// What the instance's own templates may name, besides `needs` and variables.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The address to listen on.
    pub host: String,
    /// The port to listen on, by name.
    pub ports: BTreeMap<String, u16>,
    /// Where its data lies.
    pub data_dir: String,
    /// Where a seed is being made.
    pub seed_dir: String,
}

impl CreateRequest {
    /// Fills the holes of the spec's own templates.
    #[must_use]
    pub fn lookup(&self, hole: &str, around: &Surroundings) -> Option<String> {
        let main = self.spec.main_port().map(|(name, _)| name);
        let port = |name: &str| around.ports.get(name).map(u16::to_string);
        match hole {
            "name" => return Some(self.service.clone()),
            "host" => return Some(around.host.clone()),
            "port" => return main.and_then(port),
            "data_dir" => return Some(around.data_dir.clone()),
            "seed_dir" => return Some(around.seed_dir.clone()),
            _ => {}
        }
        if let Some(name) = hole.strip_prefix("port.") {
            return port(name);
        }
        let var = self.spec.vars.get(hole).map(|var| var.value.clone());
        var.or_else(|| self.needs.get(hole).cloned())
    }
}
