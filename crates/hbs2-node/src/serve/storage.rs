//! Service Storage: blocks and raw references.

use bytes::Bytes;
use hbs2_core::Hash;
use hbs2_rpc::api::storage::{
    DelBlock, DelRef, EnqueueBlock, GetBlock, GetChunk, GetRef, HasBlock, PutBlock, RefAlias, UpdateRef,
};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;

use super::{Service, failed, with};
use crate::driver::Stopping;

pub(super) fn routes(router: Router, service: &Service) -> Router {
    router
        .on::<HasBlock, _>(with(service, has_block))
        .on::<GetBlock, _>(with(service, get_block))
        .on::<EnqueueBlock, _>(with(service, put_block))
        .on::<PutBlock, _>(with(service, put_block))
        .on::<DelBlock, _>(with(service, del_block))
        .on::<GetChunk, _>(with(service, get_chunk))
        .on::<GetRef, _>(with(service, get_ref))
        .on::<UpdateRef, _>(with(service, update_ref))
        .on::<DelRef, _>(with(service, del_ref))
}

async fn has_block(service: Service, hash: Hash) -> Result<Option<u64>, Fault> {
    service.ask(move |store| Ok(store.stat(&hash)?.map(|stat| stat.bytes))).await
}

async fn get_block(service: Service, hash: Hash) -> Result<Option<Bytes>, Fault> {
    service.ask(move |store| store.get(&hash)).await
}

async fn put_block(service: Service, block: Bytes) -> Result<Option<Hash>, Fault> {
    let outcome = service.puts.put(block).await.ok_or(Stopping)?;
    outcome.map(Some).map_err(failed)
}

async fn del_block(service: Service, hash: Hash) -> Result<(), Fault> {
    service.ask(move |store| store.delete(&hash).map(drop)).await
}

async fn get_chunk(
    service: Service,
    (hash, offset, bytes): (Hash, u64, u64),
) -> Result<Option<Bytes>, Fault> {
    let block = get_block(service, hash).await?;
    Ok(block.map(|block| {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(block.len());
        block.slice(place(offset)..place(offset.saturating_add(bytes)))
    }))
}

async fn get_ref(service: Service, alias: RefAlias) -> Result<Option<Hash>, Fault> {
    service.ask(move |store| store.reference(&alias.0)).await
}

async fn update_ref(service: Service, (alias, value): (RefAlias, Hash)) -> Result<(), Fault> {
    service.ask(move |store| store.set_references(&[(alias.0, Some(value))])).await
}

async fn del_ref(service: Service, alias: RefAlias) -> Result<(), Fault> {
    service.ask(move |store| store.set_references(&[(alias.0, None)])).await
}
