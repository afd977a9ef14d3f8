//! One connection: a reader that starts calls, the calls, and a writer for their answers.

use std::io::{self, IoSlice};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{CALLS_MAX, CONNECTION_BYTES_MAX, HANGUP_WAIT, Router, STOP_WAIT, WRITE_WAIT};
use crate::api::node::BULK_BYTES_MAX;
use crate::frame::{self, FRAME_BYTES_MAX, Fault, Request};
use crate::value::Parts;

// One frame of the largest size and one output of the largest size must fit together, or a call could wait for
// room that never comes.
const _: () = assert!(FRAME_BYTES_MAX + BULK_BYTES_MAX + 1024 * 1024 <= CONNECTION_BYTES_MAX);

/// Read buffer for small frames, in bytes.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// Pieces handed to one write, at most.
const WRITE_PIECES_MAX: usize = 64;

/// An answer on its way out, with the room it takes.
struct Outgoing {
    frame: Parts,
    _room: Option<OwnedSemaphorePermit>,
}

struct Connection {
    router: Arc<Router>,
    /// Bytes that inputs and outputs may still take.
    room: Arc<Semaphore>,
    /// Answers to the writer; as many as there are calls.
    outgoing: mpsc::Sender<Outgoing>,
    calls: JoinSet<()>,
}

/// Serves one client until it hangs up, sends something malformed, stops taking answers, or `stop` comes.
pub(super) async fn run(stream: UnixStream, router: Arc<Router>, stop: CancellationToken) {
    let (reading, writing) = stream.into_split();
    let (outgoing, answers) = mpsc::channel(CALLS_MAX);
    let mut writer = tokio::spawn(write_all(writing, answers));
    let room = Arc::new(Semaphore::new(CONNECTION_BYTES_MAX));
    let mut connection = Connection { router, room, outgoing, calls: JoinSet::new() };
    let patience = tokio::select! {
        ended = connection.read_all(BufReader::with_capacity(READ_BUFFER_BYTES, reading)) => match ended {
            Ok(()) => HANGUP_WAIT,
            Err(error) => {
                tracing::debug!(%error, "rpc: closed a connection");
                Duration::ZERO
            }
        },
        _ = &mut writer => HANGUP_WAIT,
        () = stop.cancelled() => STOP_WAIT,
    };
    let Connection { outgoing, mut calls, .. } = connection;
    drop(outgoing);
    let finish = async {
        while calls.join_next().await.is_some() {}
        // All senders are gone, so the writer ends when the last answer is out.
        if !writer.is_finished() {
            let _ = (&mut writer).await;
        }
    };
    // Calls that are still running then are dropped with their set.
    let _ = timeout(patience, finish).await;
    writer.abort();
}

impl Connection {
    /// Reads frames and starts their calls; ends when the client hangs up.
    async fn read_all(&mut self, mut reader: BufReader<OwnedReadHalf>) -> io::Result<()> {
        loop {
            let len = match reader.read_u32().await {
                Ok(len) => len as usize,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            };
            if len == 0 {
                let alive = Outgoing { frame: frame::keep_alive(), _room: None };
                self.outgoing.send(alive).await.map_err(io::Error::other)?;
                continue;
            }
            if len > FRAME_BYTES_MAX {
                return Err(io::Error::other(format!(
                    "a frame of {len} bytes is more than {FRAME_BYTES_MAX}"
                )));
            }
            let room = self.set_aside(len).await;
            let payload = read_payload(&mut reader, len).await?;
            if frame::is_notification(&payload) {
                tracing::debug!("rpc: a client asks for notifications of the original, which are not served");
                continue;
            }
            let request = Request::read(&payload).map_err(io::Error::other)?;
            drop(payload);
            self.start(request, room).await;
        }
    }

    /// Waits until `bytes` more fit into what this connection may hold.
    async fn set_aside(&self, bytes: usize) -> OwnedSemaphorePermit {
        let permits = u32::try_from(bytes).expect("frames and outputs are far below 4 GiB");
        self.room.clone().acquire_many_owned(permits).await.expect("the room is never closed")
    }

    async fn start(&mut self, request: Request, mut room: OwnedSemaphorePermit) {
        let Request { service, number, method, input } = request;
        let router = self.router.clone();
        let Some(route) = router.routes.get(&(service, method)) else {
            tracing::debug!(service, method, "rpc: not found");
            let frame = frame::response(service, number, Err(&Fault::NotFound));
            // A writer that is gone ends the connection by itself.
            let _ = self.outgoing.send(Outgoing { frame, _room: Some(room) }).await;
            return;
        };
        room.merge(self.set_aside(route.output_bytes_max).await);
        while self.calls.try_join_next().is_some() {}
        if self.calls.len() >= CALLS_MAX {
            self.calls.join_next().await;
        }
        let (answer, outgoing, name) = ((route.run)(input), self.outgoing.clone(), route.name);
        self.calls.spawn(async move {
            let outcome = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(call = name, "rpc: a call panicked");
                Err(Fault::failed("the peer made a mistake; its messages have the details"))
            });
            let frame = answer_frame(service, number, name, &outcome);
            drop(outcome);
            // The room that the answer does not need is free again before it is written.
            let spare = room.num_permits().saturating_sub(frame.len());
            drop(room.split(spare));
            let _ = outgoing.send(Outgoing { frame, _room: Some(room) }).await;
        });
    }
}

fn answer_frame(service: u64, number: u64, name: &'static str, outcome: &Result<Parts, Fault>) -> Parts {
    if let Err(fault) = outcome {
        tracing::debug!(call = name, %fault, "rpc: a call failed");
    }
    let frame = frame::response(service, number, outcome.as_ref());
    if frame.len() <= FRAME_BYTES_MAX {
        return frame;
    }
    tracing::error!(call = name, bytes = frame.len(), "rpc: an answer is too large");
    let fault = Fault::failed(format!("the answer takes {} bytes, more than {FRAME_BYTES_MAX}", frame.len()));
    frame::response(service, number, Err(&fault))
}

async fn read_payload(reader: &mut BufReader<OwnedReadHalf>, len: usize) -> io::Result<Bytes> {
    let mut payload = BytesMut::with_capacity(len);
    let mut rest = reader.take(len as u64);
    while payload.len() < len {
        if rest.read_buf(&mut payload).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(payload.freeze())
}

async fn write_all(mut writing: OwnedWriteHalf, mut answers: mpsc::Receiver<Outgoing>) {
    while let Some(answer) = answers.recv().await {
        if let Err(error) = write_parts(&mut writing, answer.frame.pieces()).await {
            tracing::debug!(%error, "rpc: cannot write an answer");
            return;
        }
    }
}

async fn write_parts(writing: &mut (impl AsyncWrite + Unpin), pieces: &[Bytes]) -> io::Result<()> {
    for some in pieces.chunks(WRITE_PIECES_MAX) {
        let mut slices: Vec<_> = some.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match timeout(WRITE_WAIT, writing.write_vectored(left)).await {
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(written)) => IoSlice::advance_slices(&mut left, written),
                Ok(Err(error)) => return Err(error),
            }
        }
    }
    Ok(())
}
