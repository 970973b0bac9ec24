//! A plugin as the older ticket writes it, with a backend as an argument, through the adapter.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clnrm::HealthStatus;
use clnrm::service::Endpoint;
use clnrm_runtime::adapter::{Adapted, ContainerBackend, ServiceHandle, ServicePlugin};
use clnrm_runtime::registry::ServiceFactory;
use clnrm_runtime::{ErrorKind, Result, label};

use crate::engine::{engine_or_skip, inspect, labelled};

/// What the ticket's sample is configured with.
struct Config {
    image: String,
    env_vars: HashMap<String, String>,
    ports: Vec<u16>,
}

struct MyCustomPlugin {
    name: String,
    config: Config,
}

impl MyCustomPlugin {
    fn new() -> Self {
        Self {
            name: "custom".to_owned(),
            config: Config {
                image: "clnrm-test/web:1".to_owned(),
                env_vars: HashMap::from([("OWNER".to_owned(), "{nobody}".to_owned())]),
                ports: vec![80],
            },
        }
    }
}

impl ServicePlugin for MyCustomPlugin {
    fn service_type(&self) -> &str {
        "my-custom-service"
    }

    fn start(&self, backend: &dyn ContainerBackend) -> Result<ServiceHandle> {
        let container = backend.create_container(&self.config.image, &self.config.env_vars)?;
        Ok(ServiceHandle {
            name: self.name.clone(),
            container_id: container.id,
            ports: self.config.ports.clone(),
        })
    }

    fn stop(&self, handle: &ServiceHandle, backend: &dyn ContainerBackend) -> Result<()> {
        backend.stop_container(&handle.container_id)?;
        Ok(())
    }

    fn health_check(&self, handle: &ServiceHandle, backend: &dyn ContainerBackend) -> Result<bool> {
        assert_eq!(handle.ports, self.config.ports);
        backend.container_is_running(&handle.container_id)
    }
}

/// The front page, as soon as the server gives it.
fn page(endpoint: &Endpoint) -> String {
    let address = (endpoint.host.as_str(), endpoint.port);
    assert_eq!(address.0, "127.0.0.1");
    let deadline = Instant::now() + Duration::from_secs(120);
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok::<_, std::io::Error>(page)
    };
    loop {
        match ask() {
            Ok(page) if !page.is_empty() => return page,
            answer => assert!(Instant::now() < deadline, "{answer:?}"),
        }
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_plugin_of_the_older_form_runs_a_container() {
    engine_or_skip!();
    let adapted: Arc<dyn clnrm::ServicePlugin> = Arc::new(Adapted::new(MyCustomPlugin::new()));
    let mut factory = ServiceFactory::new();
    let construct = move |_| Ok(Arc::clone(&adapted));
    factory
        .register("my-custom-service", Box::new(construct))
        .unwrap();
    let plugin = factory
        .create("my-custom-service", serde_json::Value::Null)
        .unwrap();
    let handle = plugin.start().unwrap();
    let id = handle.container_id().unwrap().to_owned();
    assert_eq!(inspect(&id).unwrap()["State"]["Running"], true);
    assert_eq!(plugin.health_check(&handle).unwrap(), HealthStatus::Healthy);
    let owner = handle.exec(["printenv", "OWNER"]).await.unwrap();
    assert_eq!(owner.stdout_text().trim(), "{nobody}");
    assert!(page(handle.main_endpoint().unwrap()).contains("It works."));
    handle.pause().await.unwrap();
    assert!(!plugin.health_check(&handle).unwrap().is_healthy());
    plugin.stop(handle.clone()).unwrap();
    assert!(inspect(&id).is_none());
    plugin.stop(handle).unwrap();
}

/// Makes containers, and then says something else than it should.
struct Confused {
    service: &'static str,
    makes: usize,
    says: Option<&'static str>,
    ports: &'static [u16],
}

impl ServicePlugin for Confused {
    fn service_type(&self) -> &str {
        self.service
    }

    fn start(&self, backend: &dyn ContainerBackend) -> Result<ServiceHandle> {
        let mut id = String::new();
        for _ in 0..self.makes {
            id = backend
                .create_container("clnrm-test/web:1", &HashMap::new())?
                .id;
        }
        Ok(ServiceHandle {
            name: self.service.to_owned(),
            container_id: self.says.map_or(id, str::to_owned),
            ports: self.ports.to_vec(),
        })
    }

    fn stop(&self, _: &ServiceHandle, backend: &dyn ContainerBackend) -> Result<()> {
        backend.stop_container("another's")
    }

    fn health_check(&self, _: &ServiceHandle, backend: &dyn ContainerBackend) -> Result<bool> {
        backend.container_is_running("another's")
    }
}

#[track_caller]
fn refused(plugin: Confused, message: &str) {
    let service = plugin.service;
    let plugin = Adapted::new(plugin);
    let error = clnrm::ServicePlugin::start(&plugin).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Validation, message)
    );
    assert_eq!(labelled(&[(label::SERVICE, service)]), Vec::<String>::new());
}

#[tokio::test]
async fn a_start_that_is_refused_leaves_no_container() {
    engine_or_skip!();
    let two = Confused {
        service: "two-containers",
        makes: 2,
        says: None,
        ports: &[],
    };
    refused(two, "`two-containers` made 2 containers, and may have one");
    let other = Confused {
        service: "other-container",
        makes: 1,
        says: Some("another's"),
        ports: &[],
    };
    refused(other, "`other-container` has no container `another's`");
    let port = Confused {
        service: "other-port",
        makes: 1,
        says: None,
        ports: &[80, 8080],
    };
    refused(
        port,
        "`other-port` says port 8080, which its image does not expose",
    );
}

#[tokio::test]
async fn only_its_own_container_is_in_reach() {
    engine_or_skip!();
    let confused = Confused {
        service: "out-of-reach",
        makes: 1,
        says: None,
        ports: &[],
    };
    let plugin: Box<dyn clnrm::ServicePlugin> = Box::new(Adapted::new(confused));
    let handle = plugin.start().unwrap();
    let error = plugin.stop(handle.clone()).unwrap_err();
    assert_eq!(
        error.message(),
        "`out-of-reach` has no container `another's`"
    );
    assert!(plugin.health_check(&handle).is_err());
    clnrm_runtime::engine::ambient::stop(&handle).unwrap();
}
