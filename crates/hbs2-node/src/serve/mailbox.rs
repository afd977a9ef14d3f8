//! Service Mailbox: messages kept for a key.

use std::time::{SystemTime, UNIX_EPOCH};

use hbs2_core::mailbox::{Deletion, MailboxKind, MailboxStatus, PolicySetting};
use hbs2_core::refkey::RefKind;
use hbs2_core::{Encode, Hash, Message, SignPublicKey, Signed};
use hbs2_proto::io::MailboxInfo;
use hbs2_proto::{Answer, Command};
use hbs2_rpc::api::mailbox::{
    Create, Delete, DeleteMessages, Fetch, Get, GetStatus, List, MailboxFault, MailboxKey, Outcome, Poke,
    Send, SetPolicy,
};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;

use super::{Service, with};

pub(super) fn routes(router: Router, service: &Service) -> Router {
    router
        .on::<Poke, _>(with(service, poke))
        .on::<Create, _>(with(service, create))
        .on::<SetPolicy, _>(with(service, set_policy))
        .on::<Delete, _>(with(service, delete))
        .on::<GetStatus, _>(with(service, get_status))
        .on::<Fetch, _>(with(service, fetch))
        .on::<List, _>(with(service, list))
        .on::<Send, _>(with(service, send))
        .on::<DeleteMessages, _>(with(service, delete_messages))
        .on::<Get, _>(with(service, get))
}

async fn poke(_: Service, (): ()) -> Result<(), Fault> {
    Ok(())
}

async fn create(service: Service, (MailboxKey(key), kind): (MailboxKey, MailboxKind)) -> Result<(), Fault> {
    service.order(Command::MailboxCreate { key, kind }).await
}

async fn set_policy(
    service: Service,
    (MailboxKey(key), signed): (MailboxKey, Signed<PolicySetting>),
) -> Result<Outcome<Hash>, Fault> {
    if signed.claimed_signer() != key {
        return Ok(Outcome(Err(MailboxFault::because(
            "the policy is not signed by the owner of the mailbox",
        ))));
    }
    let command = Command::MailboxPolicy { signed: signed.to_bytes().into() };
    Ok(Outcome(match service.desk.command(command).await? {
        Answer::Posted { value } => Ok(value),
        Answer::Refused(refusal) => Err(MailboxFault::because(refusal)),
        other => Err(MailboxFault::because(format!("the policy was answered with {other:?}"))),
    }))
}

/// Without its reference the mailbox is empty when it is created again.
async fn delete(service: Service, MailboxKey(key): MailboxKey) -> Result<(), Fault> {
    service.order(Command::MailboxDelete { key }).await?;
    let reference = RefKind::Mailbox.key(&key);
    service.ask(move |store| store.set_references(&[(reference, None)])).await
}

async fn info(service: &Service, key: SignPublicKey) -> Result<Option<MailboxInfo>, Fault> {
    let find = move |node: &hbs2_proto::Node| node.mailboxes().into_iter().find(|info| info.key == key);
    Ok(service.desk.look(find).await?)
}

async fn get_status(
    service: Service,
    MailboxKey(key): MailboxKey,
) -> Result<Outcome<Option<MailboxStatus>>, Fault> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let status = info(&service, key).await?.map(|info| MailboxStatus {
        seconds: now.as_secs(),
        mailbox: key,
        kind: info.kind,
        tree: info.tree,
        policy: info.policy,
    });
    Ok(Outcome(Ok(status)))
}

async fn fetch(service: Service, MailboxKey(key): MailboxKey) -> Result<(), Fault> {
    service.order(Command::MailboxFetch { key }).await
}

async fn list(service: Service, (): ()) -> Result<Vec<(MailboxKey, MailboxKind)>, Fault> {
    let mailboxes = service.desk.look(|node| node.mailboxes()).await?;
    Ok(mailboxes.into_iter().map(|info| (MailboxKey(info.key), info.kind)).collect())
}

async fn send(service: Service, message: Message) -> Result<(), Fault> {
    service.order(Command::MailboxSend { message: message.to_bytes().into() }).await
}

async fn delete_messages(service: Service, signed: Signed<Deletion>) -> Result<Outcome<()>, Fault> {
    let command = Command::MailboxErase { signed: signed.to_bytes().into() };
    Ok(Outcome(match service.desk.command(command).await? {
        Answer::Refused(refusal) => Err(MailboxFault::because(refusal)),
        _ => Ok(()),
    }))
}

async fn get(service: Service, MailboxKey(key): MailboxKey) -> Result<Option<Hash>, Fault> {
    Ok(info(&service, key).await?.and_then(|info| info.tree))
}
