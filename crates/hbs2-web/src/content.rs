//! Content in its order: the blocks that a tree lists, or one block.
//!
//! First the tree blocks are read and the sizes of the data blocks asked for, so that the length is known, ranges can
//! be cut, and a tree of which something is missing is refused before its first byte. Then the blocks are read in the
//! order of the tree, the next few while the client takes the last few, and none when it takes none. Memory is a few
//! blocks a request, however long the content is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use hbs2_core::Hash;
use hbs2_core::tree::walk::{Leaves, WalkError};
use hbs2_rpc::ClientError;
use hbs2_rpc::api::node::{BULK_BLOCKS_MAX, GetMany, STAT_HASHES_MAX, StatMany};
use hbs2_rpc::api::storage::{GetBlock, GetChunk, HasBlock};
use hbs2_rpc::client::Pending;

use crate::link::Link;
use crate::refusal::Refusal;

/// Bytes asked for in one question, at most: two chunks. A request holds three times as much, one part that is
/// being sent, one that has come and one on its way.
const ASK_BYTES: u64 = 512 * 1024;

/// Lists of a tree that is served, at most: with the leaves of every known writer a terabyte and far more. The place
/// of each is remembered, half a mebibyte in all.
const LISTS_MAX: usize = 1 << 16;

/// Time in which a tree must be read and the sizes of its blocks be known, in seconds: a terabyte takes
/// about ten.
const PLAN_SECONDS: u64 = 20;

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The bytes of one block.
    Block(Hash),
    /// The blocks that a tree lists.
    Tree(Hash),
}

/// Where the bytes of some content are.
#[derive(Debug)]
pub(crate) struct Plan {
    source: Source,
    /// Offset of the first byte of each list.
    starts: Vec<u64>,
    /// Length of the whole.
    bytes: u64,
}

type Lists = Box<dyn Iterator<Item = Result<Vec<Hash>, WalkError<ClientError>>> + Send>;

/// The lists of hashes that make up the content.
fn lists(source: Source, link: &Link) -> Lists {
    match source {
        Source::Block(hash) => Box::new(std::iter::once(Ok(vec![hash]))),
        Source::Tree(root) => {
            let link = link.clone();
            Box::new(Leaves::new(root, move |hash: &Hash| link.call::<GetBlock>(hash)))
        }
    }
}

/// The sizes of blocks; an error for the first that is not here.
fn sizes(link: &Link, hashes: &[Hash]) -> Result<Result<Vec<u64>, Hash>, ClientError> {
    let mut sizes = Vec::with_capacity(hashes.len());
    for some in hashes.chunks(STAT_HASHES_MAX) {
        let found = match some {
            [one] => vec![link.call::<HasBlock>(one)?],
            some => link.call::<StatMany>(&some.to_vec())?,
        };
        for (at, hash) in some.iter().enumerate() {
            match found.get(at).copied().flatten() {
                Some(size) => sizes.push(size),
                None => return Ok(Err(*hash)),
            }
        }
    }
    Ok(Ok(sizes))
}

impl Plan {
    /// Finds where the bytes of `source` are. Blocks the thread.
    pub(crate) fn of(source: Source, link: &Link) -> Result<Self, Refusal> {
        let (Source::Block(root) | Source::Tree(root)) = source;
        let unreadable = |reason: &'static str| Refusal::Unreadable { root, reason: reason.into() };
        let deadline = Instant::now() + Duration::from_secs(PLAN_SECONDS);
        let (mut starts, mut bytes) = (Vec::new(), 0_u64);
        for list in lists(source, link) {
            let list = list.map_err(|error| Refusal::of_walk(root, error))?;
            if starts.len() == LISTS_MAX {
                return Err(unreadable("it has too many parts"));
            }
            if Instant::now() > deadline {
                return Err(unreadable("reading its lists takes too long"));
            }
            starts.push(bytes);
            let sizes = sizes(link, &list)?.map_err(|block| match source {
                Source::Block(hash) => Refusal::Absent { hash },
                Source::Tree(root) => Refusal::Incomplete { root, block },
            })?;
            for size in sizes {
                bytes = bytes.checked_add(size).ok_or_else(|| unreadable("it is too long"))?;
            }
        }
        Ok(Self { source, starts, bytes })
    }

    /// Length of the content, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes from `from` on and before `to`, read as they are taken.
    pub(crate) fn read(
        self,
        from: u64,
        to: u64,
        link: &Link,
    ) -> impl Stream<Item = Result<Bytes, ReadError>> + use<> {
        let reader = Reader {
            lists: lists(self.source, link),
            link: link.clone(),
            plan: self,
            next_list: 0,
            blocks: VecDeque::new(),
            at: 0,
            from,
            to,
            ahead: None,
            ready: VecDeque::new(),
        };
        try_unfold(reader, |mut reader| async move {
            if reader.ready.is_empty() {
                let filled = tokio::task::spawn_blocking(move || reader.fill().map(|()| reader)).await;
                reader = filled.map_err(|_| ReadError::Stopping)??;
            }
            Ok(reader.ready.pop_front().map(|bytes| (bytes, reader)))
        })
    }
}

/// Why content ends early. Its status has been sent, so the connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("block {hash} of the content is gone")]
    Gone { hash: Hash },
    #[error("a tree block of the content cannot be read")]
    Walk(#[from] WalkError<ClientError>),
    #[error("the peer did not answer")]
    Peer(#[from] ClientError),
    #[error("the server is stopping")]
    Stopping,
}

/// A part of a block that is wanted.
struct Cut {
    hash: Hash,
    /// Length of the whole block.
    size: u64,
    from: u64,
    to: u64,
}

/// A question under way.
enum Asked {
    /// For whole small blocks.
    Blocks(Vec<Cut>, Pending<GetMany>),
    /// For some of a large one.
    Chunk(Cut, Pending<GetChunk>),
}

/// Reads content from its start or from its middle.
struct Reader {
    link: Link,
    plan: Plan,
    lists: Lists,
    next_list: usize,
    /// Blocks of the current list that are still to be asked for, with their sizes.
    blocks: VecDeque<(Hash, u64)>,
    /// Offset of the first of them in the content.
    at: u64,
    /// What is still to be asked for.
    from: u64,
    to: u64,
    ahead: Option<Asked>,
    ready: VecDeque<Bytes>,
}

impl Reader {
    /// Takes the next answer and asks the next question; nothing is ready at the end.
    fn fill(&mut self) -> Result<(), ReadError> {
        let asked = match self.ahead.take() {
            Some(asked) => Some(asked),
            None => self.ask()?,
        };
        let Some(asked) = asked else { return Ok(()) };
        self.ahead = self.ask()?;
        match asked {
            Asked::Blocks(cuts, pending) => {
                let blocks = self.link.finish(pending)?;
                for (at, cut) in cuts.iter().enumerate() {
                    let block = blocks.get(at).cloned().flatten();
                    self.give(cut, cut.from, block)?;
                }
            }
            Asked::Chunk(cut, pending) => {
                let chunk = self.link.finish(pending)?;
                self.give(&cut, 0, chunk)?;
            }
        }
        Ok(())
    }

    /// Makes the bytes of `cut` ready, which begin at `offset` in `bytes`.
    fn give(&mut self, cut: &Cut, offset: u64, bytes: Option<Bytes>) -> Result<(), ReadError> {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let (from, to) = (place(offset), place(offset + (cut.to - cut.from)));
        match bytes {
            Some(bytes) if to <= bytes.len() => self.ready.push_back(bytes.slice(from..to)),
            _ => return Err(ReadError::Gone { hash: cut.hash }),
        }
        Ok(())
    }

    fn ask(&mut self) -> Result<Option<Asked>, ReadError> {
        let Some(first) = self.next_cut()? else { return Ok(None) };
        if first.size > ASK_BYTES {
            let wanted = (first.hash, first.from, first.to - first.from);
            let pending = self.link.begin::<GetChunk>(&wanted)?;
            return Ok(Some(Asked::Chunk(first, pending)));
        }
        let mut bytes = first.size;
        let mut cuts = vec![first];
        while cuts.len() < BULK_BLOCKS_MAX
            && let Some((_, size)) = self.blocks.front()
            && bytes + size <= ASK_BYTES
            && let Some(cut) = self.next_cut()?
        {
            bytes += cut.size;
            cuts.push(cut);
        }
        let hashes = cuts.iter().map(|cut| cut.hash).collect();
        let pending = self.link.begin::<GetMany>(&hashes)?;
        Ok(Some(Asked::Blocks(cuts, pending)))
    }

    /// The next bytes that are wanted of one block, at most [`ASK_BYTES`].
    fn next_cut(&mut self) -> Result<Option<Cut>, ReadError> {
        while self.from < self.to {
            let Some(&(hash, size)) = self.blocks.front() else {
                if self.next_blocks()? {
                    continue;
                }
                return Ok(None);
            };
            let end = self.at + size;
            if end <= self.from {
                self.blocks.pop_front();
                self.at = end;
                continue;
            }
            let to = self.to.min(end).min(self.from + ASK_BYTES);
            let cut = Cut { hash, size, from: self.from - self.at, to: to - self.at };
            self.from = to;
            return Ok(Some(cut));
        }
        Ok(None)
    }

    /// Takes up the next list with something that is wanted; false when there is none.
    fn next_blocks(&mut self) -> Result<bool, ReadError> {
        for list in self.lists.by_ref() {
            let list = list?;
            let start = self.plan.starts.get(self.next_list).copied().unwrap_or(self.plan.bytes);
            let end = self.plan.starts.get(self.next_list + 1).copied().unwrap_or(self.plan.bytes);
            self.next_list += 1;
            if end <= self.from {
                continue;
            }
            let sizes = sizes(&self.link, &list)?.map_err(|hash| ReadError::Gone { hash })?;
            self.blocks = list.into_iter().zip(sizes).collect();
            self.at = start;
            return Ok(true);
        }
        Ok(false)
    }
}
