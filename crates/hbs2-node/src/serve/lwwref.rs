//! Service LWWRef: references whose last writer wins.

use hbs2_core::lwwref::LwwRef;
use hbs2_core::refkey::RefKind;
use hbs2_core::{Decode, Encode, Signed};
use hbs2_proto::{Command, PollKind};
use hbs2_rpc::api::lwwref::{Fetch, Get, LwwKey, Update};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;

use super::{Service, with};

pub(super) fn routes(router: Router, service: &Service) -> Router {
    router
        .on::<Get, _>(with(service, get))
        .on::<Update, _>(with(service, update))
        .on::<Fetch, _>(with(service, fetch))
}

/// The value in the box that the reference points to. A box that is not of this key counts as no value: the
/// reference was set by hand.
async fn get(service: Service, LwwKey(key): LwwKey) -> Result<Option<LwwRef>, Fault> {
    let reference = RefKind::Lww.key(&key);
    let block = service.ask(move |store| match store.reference(&reference)? {
        Some(hash) => store.get(&hash),
        None => Ok(None),
    });
    let Some(block) = block.await? else { return Ok(None) };
    let opened = Signed::<LwwRef>::from_bytes(&block).ok().and_then(|signed| signed.verify().ok());
    Ok(opened.filter(|opened| opened.signer == key).map(|opened| opened.value))
}

async fn update(service: Service, signed: Signed<LwwRef>) -> Result<(), Fault> {
    service.order(Command::PostLwwref { signed: signed.to_bytes().into() }).await
}

async fn fetch(service: Service, LwwKey(key): LwwKey) -> Result<(), Fault> {
    service.order(Command::FetchRef { key, kind: PollKind::Lwwref }).await
}
