//! Many blocks to and from a daemon that keeps them in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_rpc::api::node::{self, BULK_BLOCKS_MAX, BULK_BYTES_MAX};
use hbs2_rpc::bulk::{Download, Upload};
use hbs2_rpc::{Fault, Router};

use crate::daemon::{Daemon, PATIENCE};

#[derive(Default)]
struct Blocks {
    blocks: Mutex<BTreeMap<Hash, Bytes>>,
    syncs: AtomicUsize,
}

/// Keeps blocks; answers [`node::GetMany`] with as many as fit, as the daemon does.
fn keeping(kept: &Arc<Blocks>) -> Router {
    let (stage, get, sync) = (kept.clone(), kept.clone(), kept.clone());
    Router::new()
        .on::<node::StageMany, _>(move |blocks: Vec<Bytes>| {
            let kept = stage.clone();
            async move {
                if blocks.len() > BULK_BLOCKS_MAX {
                    return Err(Fault::failed("too many blocks"));
                }
                let mut map = kept.blocks.lock().unwrap();
                Ok(blocks
                    .into_iter()
                    .map(|block| {
                        let hash = Hash::of(&block);
                        map.insert(hash, block);
                        hash
                    })
                    .collect())
            }
        })
        .on::<node::GetMany, _>(move |hashes: Vec<Hash>| {
            let kept = get.clone();
            async move {
                let map = kept.blocks.lock().unwrap();
                let mut bytes = 0;
                Ok(hashes
                    .iter()
                    .map(|hash| map.get(hash).cloned())
                    .take_while(|block| {
                        bytes += block.as_ref().map_or(0, Bytes::len);
                        bytes <= BULK_BYTES_MAX
                    })
                    .collect())
            }
        })
        .on::<node::Sync, _>(move |()| {
            sync.syncs.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })
}

/// Uploads the blocks, downloads them in order, and compares.
fn check(blocks: &[Bytes]) {
    let kept = Arc::new(Blocks::default());
    let daemon = Daemon::start(keeping(&kept));
    let client = daemon.client();
    let mut upload = Upload::new(&client, PATIENCE);
    for block in blocks {
        upload.put(block.clone()).unwrap();
    }
    upload.finish().unwrap();
    assert_eq!(kept.syncs.load(Ordering::Relaxed), 1);
    let absent = Hash::of(b"absent");
    let names: Vec<_> = blocks.iter().map(|block| Hash::of(block)).chain([absent]).collect();
    let mut expected: Vec<_> = blocks.iter().map(|block| (Hash::of(block), Some(block.clone()))).collect();
    expected.push((absent, None));
    let got: Vec<_> = Download::new(&client, names, PATIENCE).collect::<Result<_, _>>().unwrap();
    assert!(got == expected);
}

#[test]
fn no_blocks_are_synced_as_well() {
    check(&[]);
}

#[test]
fn many_small_blocks_arrive_in_order() {
    check(&(0..1000u32).map(|i| Bytes::from(i.to_be_bytes().to_vec())).collect::<Vec<_>>());
}

#[test]
fn blocks_that_do_not_fit_one_answer_arrive_in_order() {
    // Sixteen of these are one question and do not fit one answer.
    check(&(0..17u8).map(|i| Bytes::from(vec![i; 3 * 1024 * 1024])).collect::<Vec<_>>());
}

#[test]
fn the_largest_blocks_arrive() {
    check(&(0..2u8).map(|i| Bytes::from(vec![i; hbs2_core::limits::BLOCK_BYTES_MAX])).collect::<Vec<_>>());
}

#[test]
fn an_upload_tells_of_a_block_that_was_not_stored() {
    let router = Router::new().on::<node::StageMany, _>(async |_| Err(Fault::failed("the disk is full")));
    let daemon = Daemon::start(router);
    let client = daemon.client();
    let mut upload = Upload::new(&client, PATIENCE);
    upload.put(Bytes::from_static(b"x")).unwrap();
    assert_eq!(
        upload.finish().unwrap_err().to_string(),
        "hbs2-peer refused node.stage-many: the disk is full"
    );
}

#[test]
fn a_daemon_that_answers_nothing_does_not_make_a_download_run_for_ever() {
    let router = Router::new().on::<node::GetMany, _>(async |_| Ok(vec![]));
    let daemon = Daemon::start(router);
    let client = daemon.client();
    let mut download = Download::new(&client, [Hash::of(b"x")], PATIENCE);
    assert!(download.next().unwrap().is_err());
}
