//! Tests: every message as it is on the wire, and that no bytes upset a reader.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use prost::Message;

use super::wire::{self, coordinator_message, host_message};
use super::{AmbientAnswer, AmbientQuestion, Call, HookReply, HookRequest};
use crate::backend::BackendKind;
use crate::error::CleanroomError;
use crate::plan::{NeedDescription, ServiceDescription};
use crate::plugin::External;
use crate::service::{
    ContainerSpec, Core, Endpoint, HealthStatus, InstanceId, InstanceKey, Isolation, Port, RunId,
    Scope, ServiceHandle, ServiceId, Slice, SliceId, Spec, Template, Var, Wait,
};

fn handle() -> ServiceHandle {
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: 40_001,
    };
    let core = Core {
        key: InstanceKey::new("00112233445566778899"),
        instance: InstanceId::new("db-1"),
        backend: BackendKind::Process,
        endpoints: [("main".to_owned(), endpoint)].into(),
        inner: BTreeMap::new(),
        vars: [("password".to_owned(), Var::secret("hunter2"))].into(),
        exports: [(
            "url".to_owned(),
            "db://{password}@{host}:{port}".parse::<Template>().unwrap(),
        )]
        .into(),
        slice: None,
        degraded: None,
    };
    ServiceHandle::new("db".to_owned(), core)
}

fn slice_id() -> SliceId {
    SliceId {
        name: "clnrm_0123456789abcdef_3".to_owned(),
        number: 3,
    }
}

fn slice() -> Slice {
    Slice::new(slice_id(), [("database", Var::plain("orders"))])
}

fn spec() -> Spec {
    Spec {
        container: Some(ContainerSpec::new("nats:2.12".parse().unwrap())),
        ports: [("main".to_owned(), Port::tcp(4222))].into(),
        wait: Wait::log("ready"),
        ..Spec::default()
    }
}

fn description() -> ServiceDescription {
    ServiceDescription {
        id: ServiceId::new("p/it/it::Nats"),
        name: "nats".to_owned(),
        location: "tests/it.rs:7".to_owned(),
        service_type: "nats".to_owned(),
        version: "0.1.0".to_owned(),
        scope: Some(Scope::Run),
        optional: false,
        needs: vec![NeedDescription {
            field: "db".to_owned(),
            id: ServiceId::new("p/it/it::Db"),
            optional: true,
        }],
        inputs: Vec::new(),
        fingerprint: "ab".to_owned(),
        spec: Some(spec()),
        isolation: [(BackendKind::Docker, Isolation::Slice)].into(),
        error: Some(CleanroomError::validation_error("wrong").with_hint("repair it")),
    }
}

fn requests() -> Vec<HookRequest> {
    vec![
        HookRequest::Describe,
        HookRequest::Ready(handle()),
        HookRequest::HealthCheck(handle()),
        HookRequest::Migrate(handle()),
        HookRequest::Slice(handle(), slice_id()),
        HookRequest::DropSlice(handle(), slice()),
        HookRequest::Sweep(handle(), vec![RunId::new("0123456789abcdef")]),
        HookRequest::External("db://elsewhere".to_owned()),
        HookRequest::Start,
        HookRequest::Stop(handle()),
    ]
}

fn replies() -> Vec<crate::Result<HookReply>> {
    let external = External {
        host: "elsewhere".to_owned(),
        port: 5432,
        vars: [("user".to_owned(), Var::plain("me"))].into(),
    };
    vec![
        Ok(HookReply::Done),
        Ok(HookReply::Descriptions(vec![description()])),
        Ok(HookReply::Health(HealthStatus::Unhealthy(
            "slow".to_owned(),
        ))),
        Ok(HookReply::Slice(slice())),
        Ok(HookReply::Names(vec![
            "clnrm_0123456776543210_1".to_owned(),
        ])),
        Ok(HookReply::External(external)),
        Ok(HookReply::Handle(Box::new(handle()))),
        Err(CleanroomError::timeout_error("late").with_context("service", "db")),
    ]
}

fn questions() -> Vec<AmbientQuestion> {
    vec![
        AmbientQuestion::Start {
            name: "nats".to_owned(),
            service_type: "nats".to_owned(),
            spec: Box::new(spec()),
        },
        AmbientQuestion::Stop(handle()),
        AmbientQuestion::HealthCheck {
            handle: handle(),
            spec: Box::new(spec()),
        },
    ]
}

fn calls() -> Vec<wire::Call> {
    let call = |request| Call {
        id: 7,
        left: Duration::from_millis(1500),
        service: Some(ServiceId::new("p/it/it::Db")),
        request,
    };
    let all = requests()
        .into_iter()
        .map(|request| call(request).to_wire());
    all.collect::<crate::Result<_>>().unwrap()
}

fn host_frames() -> Vec<wire::HostMessage> {
    use host_message::Message as M;
    let hello = wire::HelloRequest {
        version: 1,
        release: "2.0.0".to_owned(),
        install: "cargo install".to_owned(),
        pid: 42,
    };
    let mut all = vec![M::Hello(hello)];
    all.extend(
        replies()
            .iter()
            .map(|reply| M::Result(HookReply::to_wire(7, reply))),
    );
    let questions = questions();
    let ambient = questions.iter().map(|question| question.to_wire(8, 7));
    all.extend(ambient.map(|request| M::Ambient(request.unwrap())));
    all.push(M::HookResult(wire::AmbientHookResult {
        id: 9,
        error_json: None,
    }));
    let framed = all.into_iter().map(|message| wire::HostMessage {
        message: Some(message),
    });
    framed.collect()
}

fn coordinator_frames() -> Vec<wire::CoordinatorMessage> {
    use coordinator_message::Message as M;
    let mut all = vec![M::Welcome(wire::Welcome {
        version: 1,
        release: "2.0.0".to_owned(),
        error_json: None,
    })];
    all.extend(calls().into_iter().map(M::Call));
    all.push(M::Cancel(wire::Cancel { id: 7 }));
    let answers = [
        Ok(AmbientAnswer::Done),
        Ok(AmbientAnswer::Handle(Box::new(handle()))),
        Ok(AmbientAnswer::Health(HealthStatus::Healthy)),
        Err(CleanroomError::container_error("no image")),
    ];
    all.extend(
        answers
            .iter()
            .map(|answer| M::AmbientResult(AmbientAnswer::to_wire(8, answer))),
    );
    all.push(M::Hook(wire::AmbientHook {
        id: 9,
        ambient: 8,
        kind: wire::HookKind::Ready.into(),
        handle_json: "{}".to_owned(),
    }));
    let framed = all.into_iter().map(|message| wire::CoordinatorMessage {
        message: Some(message),
    });
    framed.collect()
}

/// Reads a message as the processes do, as far as they look into it.
fn read_all(bytes: &[u8]) {
    if let Ok(frame) = wire::CoordinatorMessage::decode(bytes) {
        use coordinator_message::Message as M;
        match frame.message {
            Some(M::Call(call)) => drop(Call::from_wire(call)),
            Some(M::AmbientResult(result)) => drop(AmbientAnswer::from_wire(result)),
            _ => {}
        }
    }
    if let Ok(frame) = wire::HostMessage::decode(bytes) {
        use host_message::Message as M;
        match frame.message {
            Some(M::Result(result)) => drop(HookReply::from_wire(result)),
            Some(M::Ambient(request)) => drop(AmbientQuestion::from_wire(request)),
            _ => {}
        }
    }
    let _ = wire::AcquireReply::decode(bytes);
    let _ = wire::ControlRequest::decode(bytes);
    let _ = wire::LogsReply::decode(bytes);
}

#[test]
fn every_frame_is_as_it_was() {
    let mut frames: Vec<Vec<u8>> = host_frames().iter().map(Message::encode_to_vec).collect();
    frames.extend(coordinator_frames().iter().map(Message::encode_to_vec));
    let lines: Vec<_> = frames
        .iter()
        .map(|frame| frame.escape_ascii().to_string())
        .collect();
    // A frame that changes is another protocol: raise `VERSION` with it.
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn every_call_and_reply_reads_back_as_it_was_written() {
    for call in calls() {
        let bytes = call.encode_to_vec();
        let read = Call::from_wire(wire::Call::decode(&*bytes).unwrap()).unwrap();
        assert_eq!(read.to_wire().unwrap(), call);
    }
    for reply in replies() {
        let message = HookReply::to_wire(7, &reply);
        let read = HookReply::from_wire(message.clone());
        assert_eq!(HookReply::to_wire(7, &read), message);
    }
    for question in questions() {
        let message = question.to_wire(8, 7).unwrap();
        let read = AmbientQuestion::from_wire(message.clone()).unwrap();
        assert_eq!(read.to_wire(8, 7).unwrap(), message);
    }
}

#[test]
fn a_field_of_a_later_version_is_passed_over() {
    let mut bytes = wire::Welcome {
        version: 2,
        release: "3.0.0".to_owned(),
        error_json: None,
    }
    .encode_to_vec();
    // Field 99, of two bytes.
    bytes.extend([0x9a, 0x06, 2, b'h', b'i']);
    assert_eq!(wire::Welcome::decode(&*bytes).unwrap().version, 2);
}

#[test]
fn a_call_of_a_later_version_is_an_error() {
    let call = wire::Call {
        id: 1,
        ..wire::Call::default()
    };
    let error = Call::from_wire(call).unwrap_err();
    assert_eq!(
        error.message(),
        "a call of a kind that this version does not know"
    );
}

#[test]
fn what_a_request_prints_holds_no_secret() {
    let printed = format!("{:?}", requests());
    assert!(!printed.contains("hunter2") && !printed.contains("elsewhere"));
}

proptest! {
    #[test]
    fn no_bytes_upset_a_reader(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        read_all(&bytes);
    }

    #[test]
    fn no_damaged_frame_upsets_a_reader(
        which in 0..64_usize,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        keep in any::<proptest::sample::Index>(),
    ) {
        let mut frames: Vec<_> = host_frames().iter().map(Message::encode_to_vec).collect();
        frames.extend(coordinator_frames().iter().map(Message::encode_to_vec));
        let mut frame = frames.swap_remove(which % frames.len());
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(keep.index(frame.len()) + 1);
        read_all(&frame);
    }
}
