//! What waits to be sent on one link.
//!
//! Two lanes: control messages overtake bulk data, so that a ping is answered while a megabyte of chunks
//! waits. Within a lane the order is kept. The queue has a byte limit; at the limit a message is refused and
//! the caller knows.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::frame::{self, FRAME_BYTES_MAX, HEAD_BYTES};
use crate::outgoing::Outgoing;

/// What may wait on one link, in bytes. The sender paces bulk data by what was written, well below this; the
/// limit holds when it does not.
const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Messages that may wait on one link, in count, however small they are.
const QUEUE_FRAMES_MAX: usize = 16 * 1024;

/// What the writer takes at once, in bytes: enough for one large write, and little for a control message to
/// wait behind.
const BATCH_BYTES: usize = 256 * 1024;

/// Which of the two queues of a link a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Small and urgent: pings, size answers, gossip.
    Control,
    /// Chunks of blocks.
    Bulk,
}

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The link is gone.
    #[error("the link is closed")]
    Closed,
    /// Too much waits already.
    #[error("{waiting} bytes wait on the link already")]
    Full {
        /// What waits, in bytes.
        waiting: usize,
    },
    /// The message is longer than a frame may be.
    #[error("the message has {bytes} bytes, more than {FRAME_BYTES_MAX}")]
    TooLong {
        /// Length of the message, in bytes.
        bytes: usize,
    },
}

/// One frame on its way out.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) head: [u8; HEAD_BYTES],
    pub(crate) parts: Vec<Bytes>,
    /// Payload, in bytes: the sum of the parts.
    pub(crate) bytes: usize,
}

impl Packet {
    /// Prepares a message to be written.
    fn of(tag: u32, message: Outgoing) -> Self {
        let bytes = message.len();
        Self { head: frame::head(tag, bytes), parts: message.into_parts(), bytes }
    }
}

/// The outgoing queue of a link.
#[derive(Debug)]
pub(crate) struct Queue {
    tag: u32,
    lanes: Mutex<Lanes>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Lanes {
    control: VecDeque<Outgoing>,
    bulk: VecDeque<Outgoing>,
    /// Payload that was accepted and is not yet written, in bytes.
    waiting: usize,
    closed: bool,
}

impl Queue {
    /// An empty queue whose frames carry `tag`.
    pub(crate) fn new(tag: u32) -> Self {
        Self { tag, lanes: Mutex::default(), filled: Notify::new() }
    }

    /// Appends a message.
    pub(crate) fn push(&self, lane: Lane, message: Outgoing) -> Result<(), Refused> {
        let bytes = message.len();
        if bytes > FRAME_BYTES_MAX {
            return Err(Refused::TooLong { bytes });
        }
        let mut lanes = self.lock();
        if lanes.closed {
            return Err(Refused::Closed);
        }
        let waiting = lanes.waiting;
        let frames = lanes.control.len() + lanes.bulk.len();
        // One message always fits an empty queue, whatever its size.
        if waiting > 0 && (waiting + bytes > QUEUE_BYTES_MAX || frames >= QUEUE_FRAMES_MAX) {
            return Err(Refused::Full { waiting });
        }
        lanes.waiting += bytes;
        match lane {
            Lane::Control => lanes.control.push_back(message),
            Lane::Bulk => lanes.bulk.push_back(message),
        }
        drop(lanes);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for messages and moves a batch of them to `batch`, control messages first, until it has more than `bytes`
    /// bytes. False when the queue is closed and empty.
    pub(crate) async fn take(&self, batch: &mut VecDeque<Packet>, bytes: usize) -> bool {
        loop {
            self.take_now(batch, bytes);
            if !batch.is_empty() {
                return true;
            }
            if self.lock().closed {
                return false;
            }
            self.filled.notified().await;
        }
    }

    /// Moves a batch to `batch`, control messages first, if there are any.
    pub(crate) fn take_now(&self, batch: &mut VecDeque<Packet>, bytes: usize) {
        let mut room = bytes.min(BATCH_BYTES);
        let mut taken = Vec::new();
        let mut lanes = self.lock();
        while room > 0 {
            let next = lanes.control.pop_front().or_else(|| lanes.bulk.pop_front());
            let Some(message) = next else { break };
            room = room.saturating_sub(message.len() + HEAD_BYTES);
            taken.push(message);
        }
        drop(lanes);
        batch.extend(taken.into_iter().map(|message| Packet::of(self.tag, message)));
    }

    /// Takes notice that `bytes` bytes of payload were written.
    pub(crate) fn written(&self, bytes: usize) {
        let mut lanes = self.lock();
        lanes.waiting = lanes.waiting.checked_sub(bytes).expect("no more is written than was queued");
    }

    /// Refuses everything from now on; what waits can still be taken.
    pub(crate) fn finish(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Refuses everything from now on and drops what waits.
    pub(crate) fn close(&self) {
        let mut lanes = self.lock();
        lanes.closed = true;
        lanes.control = VecDeque::new();
        lanes.bulk = VecDeque::new();
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(queue: &Queue) -> Vec<Bytes> {
        let mut batch = VecDeque::new();
        queue.take_now(&mut batch, usize::MAX);
        batch.iter().for_each(|packet| queue.written(packet.bytes));
        batch.into_iter().flat_map(|packet| packet.parts).collect()
    }

    #[test]
    fn control_messages_overtake_bulk_and_each_lane_keeps_its_order() {
        let queue = Queue::new(1);
        for (lane, text) in [(Lane::Bulk, "a"), (Lane::Control, "b"), (Lane::Bulk, "c"), (Lane::Control, "d")]
        {
            queue.push(lane, vec![Bytes::from_static(text.as_bytes())].into()).unwrap();
        }
        assert_eq!(taken(&queue), ["b", "d", "a", "c"]);
    }

    #[test]
    fn a_full_queue_refuses_until_something_is_written() {
        let queue = Queue::new(1);
        let eighth = Bytes::from(vec![0; QUEUE_BYTES_MAX / 8]);
        for _ in 0..8 {
            queue.push(Lane::Bulk, vec![eighth.clone()].into()).unwrap();
        }
        let full = Refused::Full { waiting: QUEUE_BYTES_MAX };
        assert_eq!(queue.push(Lane::Control, vec![Bytes::from_static(b"x")].into()), Err(full));
        assert_eq!(taken(&queue).len(), 1);
        queue.push(Lane::Control, vec![Bytes::from_static(b"x")].into()).unwrap();
    }

    #[test]
    fn a_message_is_prepared_when_it_is_taken_and_a_small_batch_holds_one() {
        let queue = Queue::new(1);
        let (sender, prepared) = std::sync::mpsc::channel();
        for text in ["a", "b"] {
            let sender = sender.clone();
            let prepare = move || {
                sender.send(text).unwrap();
                vec![Bytes::from_static(text.as_bytes())]
            };
            queue.push(Lane::Bulk, Outgoing::later(1, prepare)).unwrap();
        }
        assert!(prepared.try_recv().is_err());
        let mut batch = VecDeque::new();
        queue.take_now(&mut batch, 1);
        assert_eq!((batch.len(), prepared.try_recv()), (1, Ok("a")));
        assert!(prepared.try_recv().is_err());
    }

    #[test]
    fn a_closed_queue_refuses() {
        let queue = Queue::new(1);
        queue.close();
        assert_eq!(queue.push(Lane::Control, vec![].into()), Err(Refused::Closed));
    }

    #[test]
    fn a_message_beyond_a_frame_is_refused() {
        let queue = Queue::new(1);
        let bytes = FRAME_BYTES_MAX + 1;
        assert_eq!(
            queue.push(Lane::Bulk, vec![Bytes::from(vec![0; bytes])].into()),
            Err(Refused::TooLong { bytes })
        );
    }
}
