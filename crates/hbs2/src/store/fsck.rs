//! `hbs2 fsck`: does every block have its hash?

use std::sync::mpsc;
use std::thread;

use hbs2_core::Hash;

use super::blocks::{BATCH_BLOCKS, Blocks, Place, Purpose, WORKERS};
use crate::error::Failure;
use crate::voice::Voice;

/// Read every block of the storage and check it against its hash
///
/// Prints nothing when all is well. Reads through the running peer if there is one, which goes on serving.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
For each broken block, a line of the word 'broken', padded to 24 columns, and its hash.
'hbs2-peer fetch HASH' gets it again from other peers, if one has it.

Exit status: 0 all blocks are whole; 1 some are broken, or the storage cannot be read.")]
pub struct Words {
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// Some blocks are broken, or the storage cannot be read.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let blocks = Blocks::open(&words.place, Purpose::Read, voice)?;
    let status = voice.talk().status("checking");
    let (mut checked, mut broken) = (0, 0);
    let mut after = None;
    loop {
        let hashes = blocks.list(after)?;
        let Some(last) = hashes.last() else { break };
        after = Some(*last);
        for part in hashes.chunks(BATCH_BLOCKS * WORKERS * 16) {
            for hash in check(part, &blocks)? {
                voice.line(format_args!("{:<24} {hash}", "broken"))?;
                broken += 1;
            }
            checked += part.len();
            status.say(format!("checking: {checked} blocks"));
        }
    }
    drop(status);
    voice.talk().detail(format_args!("{checked} blocks checked"));
    if broken == 0 { Ok(()) } else { Err(Failure::Broken { count: broken, of: checked }) }
}

/// Those of `hashes` that are listed and cannot be read.
fn check(hashes: &[Hash], blocks: &Blocks) -> Result<Vec<Hash>, Failure> {
    let (found, results) = mpsc::channel();
    thread::scope(|scope| {
        for part in hashes.chunks(hashes.len().div_ceil(WORKERS)) {
            let found = found.clone();
            scope.spawn(move || {
                for batch in part.chunks(BATCH_BLOCKS) {
                    let read = blocks.get_all(batch).map(|read| {
                        let absent = batch.iter().zip(read).filter(|(_, block)| block.is_none());
                        absent.map(|(hash, _)| *hash).collect::<Vec<_>>()
                    });
                    let failed = read.is_err();
                    if found.send(read).is_err() || failed {
                        return;
                    }
                }
            });
        }
        drop(found);
        let mut broken = results.iter().collect::<Result<Vec<_>, _>>()?.concat();
        broken.sort_unstable();
        Ok(broken)
    })
}
