//! `hbs2 store`, `cat` and `has` through a peer that knows only the original's storage service.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::sync::Arc;

use hbs2_rpc::api::storage::{GetBlock, HasBlock, PutBlock};
use hbs2_rpc::{Listener, Router, serve};
use hbs2_store::{Durability, MemoryStore, Store};
use kit::home;
use tokio_util::sync::CancellationToken;

fn router(store: &Arc<MemoryStore>) -> Router {
    let (put, get, has) = (Arc::clone(store), Arc::clone(store), Arc::clone(store));
    Router::new()
        .on::<PutBlock, _>(move |block| {
            let hash = put.put(&[block], Durability::Synced).unwrap()[0];
            async move { Ok(Some(hash)) }
        })
        .on::<GetBlock, _>(move |hash| {
            let block = get.get(&hash).unwrap();
            async move { Ok(block) }
        })
        .on::<HasBlock, _>(move |hash| {
            let size = has.stat(&hash).unwrap().map(|stat| stat.bytes);
            async move { Ok(size) }
        })
}

#[test]
fn blocks_travel_one_by_one() {
    let home = home("alice");
    let socket = home.join("run/older.sock");
    let store = Arc::new(MemoryStore::default());
    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(async { Listener::bind(&socket) }).unwrap();
    let serving = runtime.spawn(serve(listener, Arc::new(router(&store)), stop.clone()));

    let content: Vec<u8> = (0..700_000u32).flat_map(u32::to_be_bytes).collect();
    let call = |line: &str| home.line(line).env("HBS2_RPC_SOCKET", &socket);
    let root = call("hbs2 store").stdin(content.clone()).ok().unwrap().text();
    assert!(store.totals().blocks > 10);
    assert!(call(&format!("hbs2 cat {root}")).ok().unwrap().stdout == content);
    assert_eq!(call(&format!("hbs2 cat -H {root}")).ok().unwrap().text().lines().count(), 11);
    assert_eq!(call(&format!("hbs2 has {root}")).ok().unwrap().text(), (4 + 11 * 38).to_string());
    let done = call(&format!("hbs2-peer fetch -p {root}")).fails().unwrap();
    assert!(
        done.talk().contains("hint: this program and the running peer are of different versions"),
        "{done}"
    );

    stop.cancel();
    runtime.block_on(serving).unwrap();
}
