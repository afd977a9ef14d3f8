//! Service RefLog: grow-only logs.

use hbs2_core::refkey::RefKind;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Encode, Hash, SignPublicKey};
use hbs2_proto::{Command, PollKind};
use hbs2_rpc::api::reflog::{Fetch, Get, Post};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;

use super::{Service, with};

pub(super) fn routes(router: Router, service: &Service) -> Router {
    router
        .on::<Get, _>(with(service, get))
        .on::<Fetch, _>(with(service, fetch))
        .on::<Post, _>(with(service, post))
}

async fn get(service: Service, key: SignPublicKey) -> Result<Option<Hash>, Fault> {
    let reference = RefKind::Reflog.key(&key);
    service.ask(move |store| store.reference(&reference)).await
}

async fn fetch(service: Service, key: SignPublicKey) -> Result<(), Fault> {
    service.order(Command::FetchRef { key, kind: PollKind::Reflog }).await
}

async fn post(service: Service, update: ReflogUpdate) -> Result<(), Fault> {
    service.order(Command::PostReflog { update: update.to_bytes().into() }).await
}
