//! The first part of an export: new objects into segments.

use std::io::Write;
use std::path::Path;
use std::thread::{self, Scope};

use hbs2_core::{Hash, SignSecretKey};

use super::{ExportRequest, Exporter, sign};
use crate::choose::{Chooser, Chosen};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::gitdir::Revision;
use crate::groupkey::Seal;
use crate::link::Guard;
use crate::object::ObjectId;
use crate::odb::Odb;
use crate::segment::{RecordKind, VALUE_BYTES_MAX, record_head, write_record};
use crate::transaction::Payload;
use crate::upload::{self, SegmentWriter};

/// Records up to this many bytes stay in memory and share a segment with the reference record. Beyond, and beyond
/// the size of a segment, they stream into segments of their own.
const SMALL_BYTES: u64 = 8 * 1024 * 1024;

/// Objects between two words to the user.
const STATUS_OBJECTS: u64 = 1000;

/// What is left in memory of the objects that were written.
#[derive(Default)]
pub(super) struct Written {
    /// Records that are in no segment yet.
    pub(super) records: Vec<u8>,
    /// Ids of their objects.
    pub(super) ids: Vec<ObjectId>,
    /// All objects, also those in segments.
    pub(super) objects: u64,
}

/// A segment that was posted: the transaction, what it says, and the objects in it.
type PostedSegment = (Hash, Payload, Vec<ObjectId>);

impl Exporter<'_> {
    /// Writes the new objects; full segments are posted on the way.
    pub(super) fn write_objects(&mut self, request: &ExportRequest) -> Result<Written> {
        let tips: Vec<Revision> = request.updates.iter().filter_map(|update| update.to).collect();
        let odb = Odb::open(self.git)?;
        let known =
            self.state.ids.as_ref().ok_or_else(|| Error::NoGitDir { path: self.git.dir().to_owned() })?;
        let (ctx, secret, seal) = (self.repo.ctx, &self.secret, self.seal.as_ref());
        // The local state is there when a git directory is.
        let dir = self.state.dir.as_deref().unwrap_or(self.git.dir());
        let (posted, outcome) = thread::scope(|scope| {
            let mut sink = Sink {
                ctx,
                secret,
                seal,
                dir,
                scope,
                large: None,
                posted: Vec::new(),
                written: Written::default(),
            };
            let outcome = Chooser::new(&odb, known, &tips)
                .and_then(|mut chooser| sink.write_all(&odb, &mut chooser))
                .and_then(|()| sink.close_large());
            (sink.posted, outcome.map(|()| sink.written))
        });
        // Also after a failure: what is posted need not be written again by the next push.
        for (transaction, payload, ids) in posted {
            self.record_own(transaction, payload, ids, Vec::new())?;
        }
        outcome
    }
}

/// Takes records, keeps few and streams many.
struct Sink<'scope, 'env> {
    ctx: &'env Context<'env>,
    secret: &'env SignSecretKey,
    seal: Option<&'env Seal>,
    /// Where what is being sealed may wait.
    dir: &'env Path,
    scope: &'scope Scope<'scope, 'env>,
    large: Option<SegmentWriter<'scope>>,
    posted: Vec<PostedSegment>,
    written: Written,
}

impl Sink<'_, '_> {
    fn write_all(&mut self, odb: &Odb, chooser: &mut Chooser<'_>) -> Result<()> {
        let mut content = Vec::new();
        while let Some(group) = chooser.next_group()? {
            for chosen in group {
                read_chosen(odb, &chosen, &mut content)?;
                self.write(&chosen, &content)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, chosen: &Chosen, content: &[u8]) -> Result<()> {
        let kind = RecordKind::Object(chosen.kind);
        let written = &mut self.written;
        written.ids.push(chosen.id);
        written.objects += 1;
        if written.objects.is_multiple_of(STATUS_OBJECTS) {
            self.ctx.voice.status(&format!("exporting: {} objects", written.objects));
        }
        let small = SMALL_BYTES.min(self.ctx.settings.segment_bytes);
        if self.large.is_none() && (written.records.len() + content.len()) as u64 <= small {
            write_record(&mut written.records, chosen.id, kind, content);
            return Ok(());
        }
        let writer = match &mut self.large {
            Some(writer) => writer,
            None => {
                let mut begun = SegmentWriter::begin(self.ctx, self.scope, self.seal, self.dir)
                    .map_err(upload::compressor)?;
                let wrote = begun.write_all(&std::mem::take(&mut written.records));
                let begun = self.large.insert(begun);
                if let Err(error) = wrote {
                    return self.broken(error);
                }
                begun
            }
        };
        let wrote = writer
            .write_all(&record_head(chosen.id, kind, content.len()))
            .and_then(|()| writer.write_all(content));
        match wrote {
            Ok(()) if writer.bytes() >= self.ctx.settings.segment_bytes => self.close_large(),
            Ok(()) => Ok(()),
            Err(error) => self.broken(error),
        }
    }

    /// The compressor could not go on: most likely nobody takes its output any more, and the reason is there.
    fn broken(&mut self, error: std::io::Error) -> Result<()> {
        if let Some(writer) = self.large.take() {
            writer.finish()?;
        }
        Err(upload::compressor(error))
    }

    /// Ends the segment that streams, if there is one, and posts it without references. It harms nobody when
    /// the rest of the export fails.
    fn close_large(&mut self) -> Result<()> {
        let Some(writer) = self.large.take() else { return Ok(()) };
        let payload = Payload::Segment { tree: writer.finish()? };
        let update = sign(self.secret, payload)?;
        self.ctx.link("post a segment", self.ctx.link.post(std::slice::from_ref(&update), Guard::Any))?;
        self.posted.push((update.id(), payload, std::mem::take(&mut self.written.ids)));
        Ok(())
    }
}

fn read_chosen(odb: &Odb, chosen: &Chosen, content: &mut Vec<u8>) -> Result<()> {
    let absent = || Error::Object { id: chosen.id, message: "it is not there".into() };
    odb.read(&chosen.id, content)?.ok_or_else(absent)?;
    if content.len() as u64 > VALUE_BYTES_MAX {
        let message = format!("it is longer than {VALUE_BYTES_MAX} bytes");
        return Err(Error::Object { id: chosen.id, message });
    }
    Ok(())
}
