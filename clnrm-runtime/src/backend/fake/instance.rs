//! An instance that is nothing but its own description.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::Instant;

use crate::backend::{CreateRequest, LogLine, Source, State};
use crate::service::{Endpoint, LogStream, Stop, StopSignal};

/// What a program of the fake does, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Writes to both streams and runs until it is stopped.
    Serves,
    /// The same, and heeds SIGKILL alone.
    Stubborn,
    /// Writes its last words and ends with code 3.
    Ends,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) request: CreateRequest,
    pub(super) log: Vec<LogLine>,
    pub(super) files: BTreeMap<String, Bytes>,
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    manner: Manner,
    life: State,
    ends: Option<(Instant, i32)>,
}

impl Instance {
    /// `None` where there is no such program.
    pub(super) fn new(request: CreateRequest) -> Option<Self> {
        let manner = match name(&request.source).as_str() {
            "broken" => return None,
            "stubborn" => Manner::Stubborn,
            "ends" => Manner::Ends,
            _ => Manner::Serves,
        };
        Some(Self {
            request,
            log: Vec::new(),
            files: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            manner,
            life: State::Created,
            ends: None,
        })
    }

    /// `port` is free, and so are those after it. It ends by itself after
    /// `ends`, with that code.
    pub(super) fn start(&mut self, port: u16, ends: Option<(Duration, i32)>) {
        if self.endpoints.is_empty() {
            let names = self.request.spec.ports.keys();
            let endpoints = names.zip(port..).map(|(name, port)| {
                let host = "127.0.0.1".to_owned();
                (name.clone(), Endpoint { host, port })
            });
            self.endpoints = endpoints.collect();
        }
        self.ends = ends.map(|(after, code)| (Instant::now() + after, code));
        if self.manner == Manner::Ends {
            self.say(LogStream::Stderr, "last words");
            self.life = State::Exited { code: 3 };
            return;
        }
        self.life = State::Running;
        self.say(LogStream::Stdout, "to stdout");
        self.say(LogStream::Stderr, "to stderr");
    }

    /// How it is by now.
    pub(super) fn state(&mut self) -> State {
        if let Some((at, code)) = self.ends
            && at <= Instant::now()
            && matches!(self.life, State::Running | State::Paused)
        {
            self.life = State::Exited { code };
        }
        self.life.clone()
    }

    /// When it ends by itself.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        self.ends.map(|(at, _)| at)
    }

    /// How long it takes to heed that.
    pub(super) fn heeds(&self, stop: Stop) -> Duration {
        let polite = stop.signal != StopSignal::Kill;
        if polite && self.manner == Manner::Stubborn {
            stop.grace
        } else {
            Duration::ZERO
        }
    }

    pub(super) fn become_state(&mut self, state: State) {
        self.life = state;
    }

    fn say(&mut self, stream: LogStream, text: &str) {
        self.log.push(LogLine {
            at: SystemTime::now(),
            stream,
            text: text.to_owned(),
        });
    }

    /// One line for people.
    pub(super) fn describe(&self, id: &str) -> String {
        format!("fake instance `{id}` of `{}`", self.request.service)
    }
}

fn name(source: &Source) -> String {
    match source {
        Source::Program { path, .. } => {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        }
        Source::Image(image) => image.repository().to_owned(),
    }
}
