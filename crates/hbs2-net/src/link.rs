//! One admitted connection: its reader, its writer and its clock.
//!
//! All three run in one task; the first that ends closes the link. The reader waits when what was received is
//! not taken (so the other side is slowed down by TCP itself); the writer reports what it wrote, so that the
//! sender can pace itself.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::frame::{FrameError, FrameReader, HEAD_BYTES};
use crate::pool::Pool;
use crate::queue::{Packet, Queue};
use crate::rate::Rate;
use crate::tcp::{Event, LinkId};

/// A link without a complete frame for this long is closed, in seconds, as the original does. Peers ping each
/// other every 30 s.
const SILENCE_SECONDS: u64 = 67;

/// A link that takes nothing of what waits for this long is closed, in seconds.
const STALL_SECONDS: u64 = 67;

/// How often both are checked, in seconds. The price of a late check is a dead link for that long.
const CHECK_SECONDS: u64 = 5;

/// Time for what is queued to leave before we close a link, in milliseconds.
const FLUSH_MS: u64 = 500;

/// Slices of one vectored write, in count. Linux takes 1024; a batch of large chunks needs about twenty.
const SLICES_MAX: usize = 64;

/// Written bytes are reported at the latest when this many have gathered, in bytes: often enough to keep the
/// queue filled, seldom enough to cost nothing.
const REPORT_BYTES: usize = 128 * 1024;

/// Why a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The other side closed it.
    #[error("the other side closed the connection")]
    Remote,
    /// We closed it with [`Tcp::close`](crate::Tcp::close).
    #[error("closed by us")]
    Requested,
    /// The other connection of a tie stays.
    #[error("another connection to the same process was kept")]
    Replaced,
    /// The carrier ends.
    #[error("this process ends")]
    Shutdown,
    /// No complete frame came for too long.
    #[error("no frame came for {SILENCE_SECONDS} s")]
    Silent,
    /// The other side took nothing for too long.
    #[error("the other side took nothing for {STALL_SECONDS} s")]
    Stalled,
    /// The other side sent a frame that cannot be read.
    #[error("unreadable frame: {0}")]
    Frame(FrameError),
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Socket(io::ErrorKind),
}

/// The payload of one frame. While it lives it counts against the limit of what was received and not taken;
/// take the bytes and drop it as soon as it is handled.
#[derive(Debug)]
pub struct Received {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Received {
    pub(crate) fn new(bytes: Bytes, room: OwnedSemaphorePermit) -> Self {
        Self { bytes, _room: room }
    }

    /// The payload.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Everything a link needs to run.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) queue: Arc<Queue>,
    pub(crate) pool: Arc<Pool>,
    /// Room for received bytes that are not yet taken, shared by all links.
    pub(crate) inbox: Arc<Semaphore>,
    pub(crate) inbox_bytes: usize,
    pub(crate) rates: Arc<Rates>,
    pub(crate) events: mpsc::Sender<Event>,
}

/// How fast bytes may come and go, all links together.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    pub(crate) upload: Rate,
    pub(crate) download: Rate,
}

/// When the link last moved, in milliseconds since it began.
#[derive(Debug)]
struct Activity {
    begin: Instant,
    frame_ms: AtomicU64,
    /// Last progress of the writer.
    write_ms: AtomicU64,
    /// Whether the writer has something to write.
    writing: AtomicBool,
}

impl Link {
    /// Runs until the link ends or `stop` names a reason.
    pub(crate) async fn run(
        self,
        mut stream: TcpStream,
        stop: oneshot::Receiver<CloseReason>,
    ) -> CloseReason {
        let activity = Activity::new();
        let (read, write) = stream.split();
        let mut writer = std::pin::pin!(self.write(&write, &activity));
        let reason = tokio::select! {
            reason = self.read(&read, &activity) => reason,
            reason = &mut writer => reason,
            reason = activity.watch() => reason,
            reason = stop => reason.unwrap_or(CloseReason::Shutdown),
        };
        if reason == CloseReason::Requested {
            self.queue.finish();
            // Whether it all left in time makes no difference to anybody.
            let _ = timeout(Duration::from_millis(FLUSH_MS), writer).await;
        }
        self.queue.close();
        reason
    }

    async fn read(&self, socket: &ReadHalf<'_>, activity: &Activity) -> CloseReason {
        let mut reader = FrameReader::new(Arc::clone(&self.pool));
        loop {
            if let Err(error) = socket.readable().await {
                return CloseReason::Socket(error.kind());
            }
            match socket.try_read_vectored(&mut reader.slices()) {
                Ok(0) => return CloseReason::Remote,
                Ok(bytes) => {
                    reader.advance(bytes);
                    self.rates.download.spend(bytes).await;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return CloseReason::Socket(error.kind()),
            }
            loop {
                match reader.next() {
                    Ok(Some(frame)) => {
                        activity.frame();
                        if !self.hand_up(frame).await {
                            return CloseReason::Shutdown;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => return CloseReason::Frame(error),
                }
            }
        }
    }

    /// Waits for room and passes the frame on; false when nobody listens any more.
    async fn hand_up(&self, bytes: Bytes) -> bool {
        let room = u32::try_from(bytes.len().min(self.inbox_bytes)).expect("a frame is shorter than 4 GiB");
        let Ok(room) = Arc::clone(&self.inbox).acquire_many_owned(room).await else { return false };
        let received = Received::new(bytes, room);
        self.events.send(Event::Received { link: self.id, frame: received }).await.is_ok()
    }

    async fn write(&self, socket: &WriteHalf<'_>, activity: &Activity) -> CloseReason {
        let mut batch = VecDeque::new();
        let mut offset = 0;
        let mut unreported = 0;
        loop {
            if batch.is_empty() {
                activity.rests();
                if !self.queue.take(&mut batch, self.rates.upload.piece()).await {
                    return CloseReason::Requested;
                }
                activity.works();
            }
            if let Err(error) = socket.writable().await {
                return CloseReason::Socket(error.kind());
            }
            let bytes = match socket.try_write_vectored(&slices(&batch, offset)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return CloseReason::Socket(error.kind()),
            };
            offset += bytes;
            self.rates.upload.spend(bytes).await;
            activity.works();
            let written = drop_written(&mut batch, &mut offset);
            self.queue.written(written);
            unreported += written;
            if batch.is_empty() {
                self.queue.take_now(&mut batch, self.rates.upload.piece());
            }
            if unreported >= REPORT_BYTES || (unreported > 0 && batch.is_empty()) {
                let report = Event::Written { link: self.id, bytes: unreported };
                unreported = 0;
                if self.events.send(report).await.is_err() {
                    return CloseReason::Shutdown;
                }
            }
        }
    }
}

/// What is left of the packets when the first `offset` bytes are gone, as slices of one write.
fn slices(batch: &VecDeque<Packet>, offset: usize) -> Vec<IoSlice<'_>> {
    let mut skip = offset;
    let mut slices = Vec::with_capacity(SLICES_MAX);
    let parts = batch.iter().flat_map(|packet| {
        std::iter::once(&packet.head[..]).chain(packet.parts.iter().map(|part| &part[..]))
    });
    for part in parts {
        if slices.len() == SLICES_MAX {
            break;
        }
        let gone = skip.min(part.len());
        skip -= gone;
        if gone < part.len() {
            slices.push(IoSlice::new(&part[gone..]));
        }
    }
    slices
}

/// Drops the packets that are written completely; returns the bytes of their payloads.
fn drop_written(batch: &mut VecDeque<Packet>, offset: &mut usize) -> usize {
    let mut written = 0;
    while let Some(first) = batch.front()
        && *offset >= HEAD_BYTES + first.bytes
    {
        *offset -= HEAD_BYTES + first.bytes;
        written += first.bytes;
        batch.pop_front();
    }
    written
}

impl Activity {
    fn new() -> Self {
        Self {
            begin: Instant::now(),
            frame_ms: AtomicU64::new(0),
            write_ms: AtomicU64::new(0),
            writing: AtomicBool::new(false),
        }
    }

    fn frame(&self) {
        self.frame_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    fn works(&self) {
        self.write_ms.store(self.elapsed_ms(), Ordering::Relaxed);
        self.writing.store(true, Ordering::Relaxed);
    }

    fn rests(&self) {
        self.writing.store(false, Ordering::Relaxed);
    }

    /// Ends when the link has been silent or stalled for too long.
    async fn watch(&self) -> CloseReason {
        let mut ticks = tokio::time::interval(Duration::from_secs(CHECK_SECONDS));
        loop {
            ticks.tick().await;
            let now = self.elapsed_ms();
            if now.saturating_sub(self.frame_ms.load(Ordering::Relaxed)) > SILENCE_SECONDS * 1000 {
                return CloseReason::Silent;
            }
            let idle = now.saturating_sub(self.write_ms.load(Ordering::Relaxed));
            if self.writing.load(Ordering::Relaxed) && idle > STALL_SECONDS * 1000 {
                return CloseReason::Stalled;
            }
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
