//! One connection of a client: a queue of frames to write, a table of calls that wait, two threads.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, BufReader, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ClientError;
use crate::frame::{FRAME_BYTES_MAX, Fault, HEAD_BYTES, Response};
use crate::value::Parts;

/// Bytes of frames that wait to be written, at most; a call that finds more waits. Eight bulk calls of 4 MiB:
/// enough that the daemon never waits for us, little enough for a program that wants to stay small.
const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Read buffer for heads and small replies, in bytes. A large reply is read past it into its own memory.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Pieces handed to one write, at most; the limit of Linux is 1024.
const WRITE_PIECES_MAX: usize = 256;

/// How a connection broke.
#[derive(Debug, Clone)]
pub(super) struct Lost(Arc<str>);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the answer to a call arrives.
pub(super) type Answer = Receiver<Result<Bytes, Fault>>;

/// What became of a frame.
pub(super) enum Queued {
    /// It will be written; the answer comes here.
    Sent(Answer),
    /// The queue stayed full until the deadline.
    Full,
    /// There is no connection any more.
    Lost(Lost),
}

/// The client's end of a connection. Dropping it hangs up.
pub(super) struct Pipe {
    socket: PathBuf,
    stream: UnixStream,
    next: AtomicU64,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled when there is something to write.
    work: Condvar,
    /// Signalled when something has been written.
    room: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<u64, SyncSender<Result<Bytes, Fault>>>,
    queue: VecDeque<Parts>,
    /// Bytes in the queue and in the hands of the writer.
    queued_bytes: usize,
    lost: Option<Lost>,
}

impl Pipe {
    pub(super) fn connect(path: &Path, timeout: Duration) -> Result<Arc<Self>, ClientError> {
        let stream = connect(path, timeout)?;
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new(), room: Condvar::new() });
        let start = || -> io::Result<()> {
            let (reading, writing) = (stream.try_clone()?, stream.try_clone()?);
            let (reader, writer) = (shared.clone(), shared.clone());
            thread::Builder::new().name("rpc read".into()).spawn(move || reader.read_all(reading))?;
            thread::Builder::new().name("rpc write".into()).spawn(move || writer.write_all(writing))?;
            Ok(())
        };
        start().map_err(|source| ClientError::Connect { socket: path.to_owned(), source })?;
        Ok(Arc::new(Self { socket: path.to_owned(), stream, next: AtomicU64::new(0), shared }))
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// A number for the next call.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Queues the frame of call `number`; waits for room until `deadline` at most.
    pub(super) fn queue(&self, number: u64, frame: Parts, deadline: Instant) -> Queued {
        let mut state = self.shared.lock();
        loop {
            if let Some(lost) = &state.lost {
                return Queued::Lost(lost.clone());
            }
            if state.queued_bytes == 0 || state.queued_bytes + frame.len() <= QUEUE_BYTES_MAX {
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Queued::Full;
            }
            state = self.shared.room.wait_timeout(state, left).expect(UNPOISONED).0;
        }
        let (answer, receiver) = sync_channel(1);
        state.waiting.insert(number, answer);
        state.queued_bytes += frame.len();
        state.queue.push_back(frame);
        self.shared.work.notify_one();
        Queued::Sent(receiver)
    }

    /// Call `number` is not waited for any more.
    pub(super) fn forget(&self, number: u64) {
        self.shared.lock().waiting.remove(&number);
    }

    /// How the connection broke. To be asked only when it did.
    pub(super) fn lost(&self) -> Lost {
        self.shared.lock().lost.clone().unwrap_or_else(|| Lost("the connection was closed".into()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.shared.lose("the client hung up");
        // Wakes both threads out of their system calls; that the daemon may have hung up first is no news.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

const UNPOISONED: &str = "no thread panics while it holds the lock of a connection";

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }

    /// Fails everything that waits and everything to come. Only the first reason counts.
    fn lose(&self, reason: impl Into<Arc<str>>) {
        let mut state = self.lock();
        state.lost.get_or_insert_with(|| Lost(reason.into()));
        state.waiting.clear();
        state.queue.clear();
        self.work.notify_all();
        self.room.notify_all();
    }

    fn write_all(&self, mut stream: UnixStream) {
        while let Some(batch) = self.next_batch() {
            let pieces: Vec<&Bytes> = batch.iter().flat_map(Parts::pieces).collect();
            match write_pieces(&mut stream, &pieces) {
                Ok(()) => {}
                // The reader finds that out too, after the answers that came before.
                Err(error) if hung_up(&error) => return,
                Err(error) => {
                    self.lose(format!("cannot write: {error}"));
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
            }
            self.lock().queued_bytes -= batch.iter().map(Parts::len).sum::<usize>();
            self.room.notify_all();
        }
    }

    /// All frames in the queue; none when the connection is lost.
    fn next_batch(&self) -> Option<VecDeque<Parts>> {
        let mut state = self.lock();
        loop {
            if state.lost.is_some() {
                return None;
            }
            if !state.queue.is_empty() {
                return Some(std::mem::take(&mut state.queue));
            }
            state = self.work.wait(state).expect(UNPOISONED);
        }
    }

    fn read_all(&self, stream: UnixStream) {
        let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, stream);
        let reason = loop {
            match read_response(&mut reader) {
                Ok(Some(response)) => {
                    // A reply to a call that nobody waits for any more is dropped.
                    if let Some(answer) = self.lock().waiting.remove(&response.number) {
                        let _ = answer.send(response.outcome);
                    }
                }
                Ok(None) => {}
                Err(error) if hung_up(&error) => break "the peer closed the connection".to_owned(),
                Err(error) => break error.to_string(),
            }
        };
        self.lose(reason);
        let _ = reader.into_inner().shutdown(Shutdown::Both);
    }
}

/// Whether the other side has closed. It is an end to the reader, a broken pipe to the writer, and a reset to
/// either when something of ours was still unread.
fn hung_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset)
}

/// The next response; none for a keep-alive.
fn read_response(reader: &mut impl Read) -> io::Result<Option<Response>> {
    let mut head = [0; HEAD_BYTES];
    reader.read_exact(&mut head)?;
    let len = u32::from_be_bytes(head) as usize;
    if len == 0 {
        return Ok(None);
    }
    if len > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!(
            "the peer sent a frame of {len} bytes, more than {FRAME_BYTES_MAX}"
        )));
    }
    let mut payload = vec![0; len];
    reader.read_exact(&mut payload)?;
    Response::read(&payload.into())
        .map(Some)
        .map_err(|error| io::Error::other(format!("the peer sent no response: {error}")))
}

fn write_pieces(stream: &mut UnixStream, pieces: &[&Bytes]) -> io::Result<()> {
    for some in pieces.chunks(WRITE_PIECES_MAX) {
        let mut slices: Vec<_> = some.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match stream.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Connects in a thread of its own, because a connect to a unix socket has no timeout: it waits for as long as
/// a daemon that is stuck keeps its backlog full.
fn connect(path: &Path, timeout: Duration) -> Result<UnixStream, ClientError> {
    let failed = |source| ClientError::Connect { socket: path.to_owned(), source };
    check_owner(path)?;
    let (done, outcome) = sync_channel(1);
    let target = path.to_owned();
    thread::Builder::new()
        .name("rpc connect".into())
        .spawn(move || {
            let _ = done.send(UnixStream::connect(target));
        })
        .map_err(failed)?;
    outcome.recv_timeout(timeout).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)
}

/// In a directory for all, such as `/tmp`, anybody can put a socket where we look for ours.
fn check_owner(path: &Path) -> Result<(), ClientError> {
    const ROOT: u32 = 0;
    let owner =
        path.metadata().map_err(|source| ClientError::Connect { socket: path.to_owned(), source })?.uid();
    if owner == ROOT || owner == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(ClientError::Foreign { socket: path.to_owned(), owner })
    }
}
