//! A pair of sockets that carries whole messages and open files; it knows
//! nothing of what they say.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    sockopt,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::unix::AsyncFd;

use super::limit::limit_hint;
use crate::error::{CleanroomError, Result};
use crate::sys;

/// What a message may be long, where the system lets us have it.
const ROOM: usize = 1 << 20;
/// No message carries more open files: a child's three.
const FILES: usize = 3;

/// Two connected ends, both closed on exec.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let connect = || {
        let flags = SocketFlags::CLOEXEC;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        for end in [&one, &other] {
            // Beyond the system's maximum only root may go; a user has that.
            if sockopt::set_socket_send_buffer_size_force(end, ROOM).is_err() {
                sockopt::set_socket_send_buffer_size(end, ROOM)?;
            }
        }
        Ok((one, other))
    };
    connect().map_err(|error: Errno| {
        let error = io::Error::from(error);
        CleanroomError::internal_error("cannot make a pair of sockets")
            .with_hint(limit_hint(&error))
            .with_source(error)
    })
}

/// A message as it arrived, with the files that came along.
#[derive(Debug)]
pub(super) struct Incoming {
    bytes: Vec<u8>,
    pub(super) files: Vec<OwnedFd>,
}

impl Incoming {
    /// What it says.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            CleanroomError::protocol_error("a message of the keeper makes no sense")
                .with_source(error)
        })
    }
}

/// Sends a message; waits while there is no room.
pub(super) fn send(socket: impl AsFd, message: &impl Serialize, files: &[OwnedFd]) -> Result<()> {
    let bytes = encode(message)?;
    retry(|| transmit(socket.as_fd(), &bytes, files, SendFlags::empty()))
        .map_err(|error| explain(error, &bytes, socket.as_fd()))
}

/// Waits for a message; `None` is the end.
pub(super) fn receive(socket: impl AsFd) -> io::Result<Option<Incoming>> {
    retry(|| accept(socket.as_fd(), RecvFlags::empty())).map_err(io::Error::from)
}

/// One end, on a runtime.
#[derive(Debug)]
pub(super) struct Channel(AsyncFd<OwnedFd>);

impl Channel {
    /// Must be called inside a runtime, whose reactor then serves it.
    pub(super) fn new(socket: OwnedFd) -> Result<Self> {
        sys::watch(socket).map(Self).map_err(|error| {
            CleanroomError::internal_error("cannot watch a socket").with_source(error)
        })
    }

    /// Sends a message.
    pub(super) async fn send(&self, message: &impl Serialize, files: &[OwnedFd]) -> Result<()> {
        let bytes = encode(message)?;
        loop {
            let mut ready = self.0.writable().await.map_err(|error| {
                CleanroomError::internal_error("cannot watch a socket").with_source(error)
            })?;
            let sent = ready.try_io(|socket| {
                retry(|| transmit(socket.as_fd(), &bytes, files, SendFlags::DONTWAIT))
                    .map_err(io::Error::from)
            });
            match sent {
                Ok(Err(error)) => {
                    let error = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                    return Err(explain(error, &bytes, self.0.get_ref().as_fd()));
                }
                Ok(Ok(())) => return Ok(()),
                Err(_no_room) => {}
            }
        }
    }

    /// Waits for a message; `None` is the end. Cancelling it loses nothing.
    pub(super) async fn receive(&self) -> io::Result<Option<Incoming>> {
        loop {
            let mut ready = self.0.readable().await?;
            let received = ready.try_io(|socket| {
                retry(|| accept(socket.as_fd(), RecvFlags::DONTWAIT)).map_err(io::Error::from)
            });
            if let Ok(result) = received {
                return result;
            }
        }
    }
}

fn encode(message: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(message).map_err(|error| {
        CleanroomError::internal_error("a message to the keeper is not JSON").with_source(error)
    })
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    rustix::io::retry_on_intr(&mut call)
}

fn transmit(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    files: &[OwnedFd],
    flags: SendFlags,
) -> Result<(), Errno> {
    let files: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(Errno::INVAL);
    }
    let flags = flags | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags).map(|_| ())
}

fn accept(socket: BorrowedFd<'_>, flags: RecvFlags) -> Result<Option<Incoming>, Errno> {
    // The first look says how long the message is, and takes no files out.
    let look = flags | RecvFlags::PEEK | RecvFlags::TRUNC;
    let mut nothing = RecvAncillaryBuffer::default();
    let length = match recvmsg(socket, &mut [IoSliceMut::new(&mut [])], &mut nothing, look) {
        // The other end went without reading all that we had sent.
        Err(Errno::CONNRESET) => 0,
        result => result?.bytes,
    };
    if length == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let take = flags | RecvFlags::CMSG_CLOEXEC;
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        take,
    )?;
    let files = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => Some(files),
            _ => None,
        })
        .flatten()
        .collect();
    Ok(Some(Incoming { bytes, files }))
}

fn explain(error: Errno, bytes: &[u8], socket: BorrowedFd<'_>) -> CleanroomError {
    if error != Errno::MSGSIZE {
        return CleanroomError::protocol_error("cannot send to the keeper").with_source(error);
    }
    let most = sockopt::socket_send_buffer_size(socket).unwrap_or_default();
    CleanroomError::validation_error(format!(
        "a program's arguments and environment are too long: {} of at most {most} bytes",
        bytes.len()
    ))
    .with_hint("pass long values in a file, or raise `net.core.wmem_max`")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_message_brings_its_files() {
        let (one, other) = pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        send(&one, &"hello", &[writer.into()]).unwrap();
        let mut incoming = receive(&other).unwrap().unwrap();
        assert_eq!(incoming.parse::<String>().unwrap(), "hello");
        let file = incoming.files.pop().unwrap();
        std::fs::File::from(file).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn a_closed_end_is_the_end() {
        let (one, other) = pair().unwrap();
        send(&other, &1, &[]).unwrap();
        drop(one);
        assert!(receive(&other).unwrap().is_none());
    }

    #[test]
    fn a_message_that_is_too_long_says_so() {
        let (one, _other) = pair().unwrap();
        let most = sockopt::socket_send_buffer_size(&one).unwrap();
        let error = send(&one, &"x".repeat(most), &[]).unwrap_err();
        assert!(error.message().contains("too long"), "{error:?}");
        assert!(error.message().contains(&most.to_string()), "{error:?}");
    }

    #[tokio::test]
    async fn a_channel_waits_for_room() {
        let (one, other) = pair().unwrap();
        let (one, other) = (Channel::new(one).unwrap(), Channel::new(other).unwrap());
        let text = "x".repeat(100_000);
        let sending = async {
            for _ in 0..100 {
                one.send(&text, &[]).await.unwrap();
            }
        };
        let receiving = async {
            for _ in 0..100 {
                let incoming = other.receive().await.unwrap().unwrap();
                assert_eq!(incoming.parse::<String>().unwrap().len(), text.len());
            }
        };
        tokio::join!(sending, receiving);
    }
}
