//! Service RefChan: channels that many write.

use hbs2_core::refkey::RefKind;
use hbs2_core::{Blob, Encode, Hash, SignPublicKey, Signed};
use hbs2_proto::{Command, PollKind};
use hbs2_rpc::api::refchan::{Fetch, Get, HeadFetch, HeadGet, HeadPost, Notify, Propose};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;

use super::{Service, with};

pub(super) fn routes(router: Router, service: &Service) -> Router {
    router
        .on::<HeadGet, _>(with(service, head_get))
        .on::<HeadFetch, _>(with(service, fetch))
        .on::<HeadPost, _>(with(service, head_post))
        .on::<Get, _>(with(service, get))
        .on::<Fetch, _>(with(service, fetch))
        .on::<Propose, _>(with(service, propose))
        .on::<Notify, _>(with(service, notify))
}

async fn head_get(service: Service, chan: SignPublicKey) -> Result<Option<Hash>, Fault> {
    let reference = RefKind::ChanHead.key(&chan);
    service.ask(move |store| store.reference(&reference)).await
}

async fn get(service: Service, chan: SignPublicKey) -> Result<Option<Hash>, Fault> {
    let reference = RefKind::ChanLog.key(&chan);
    service.ask(move |store| store.reference(&reference)).await
}

/// Head and log are asked for together: one is of no use without the other.
async fn fetch(service: Service, chan: SignPublicKey) -> Result<(), Fault> {
    service.order(Command::FetchRef { key: chan, kind: PollKind::Refchan }).await
}

async fn head_post(service: Service, root: Hash) -> Result<(), Fault> {
    service.order(Command::PostChanHead { root }).await
}

async fn propose(service: Service, (chan, payload): (SignPublicKey, Signed<Blob>)) -> Result<(), Fault> {
    service.order(Command::Propose { chan, payload: payload.to_bytes().into() }).await
}

async fn notify(service: Service, (chan, signed): (SignPublicKey, Signed<Blob>)) -> Result<(), Fault> {
    service.order(Command::Notify { chan, signed: signed.to_bytes().into() }).await
}
