//! Local programs that help with a refchan, each behind a unix socket of its own (spec: wire 3.10).
//!
//! A *validator* is asked about each proposal before it is passed on and accepted. A *notify client* gets the notices
//! of the channel, may send some, and may ask the node to announce or fetch a tree. The node connects to them, and
//! connects again when they have gone away; without them it goes on as if there were none. Which there are may change
//! while the node runs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hbs2_core::refchan::{ChanAction, ChanNotice};
use hbs2_core::{Encode, Hash, SignPublicKey};
use hbs2_proto::wire::{ChanValidate, PACKET_BYTES_MAX, Verdict, open_local, protocol, seal_local};
use hbs2_proto::{Command, Input, Keep, Ticket};
use hbs2_store::Store;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use crate::driver::Desk;

/// How long a validator may think, in seconds. The original's.
const VERDICT_SECONDS: u64 = 5;

/// Wait before a notify client that is not there is tried again, in seconds.
const RECONNECT_SECONDS: u64 = 5;

/// Notices that wait for a notify client, at most. One that does not read misses the rest.
const NOTICES_MAX: usize = 256;

/// Bytes of the number that joins question and verdict.
const NONCE_BYTES: usize = 8;

/// The companions of this node. Cheap to clone; all clones are the same companions.
#[derive(Clone)]
pub(crate) struct Companions {
    table: Arc<Mutex<Table>>,
    facts: mpsc::UnboundedSender<Vec<Input>>,
}

#[derive(Default)]
struct Table {
    validators: BTreeMap<SignPublicKey, PathBuf>,
    clients: BTreeMap<SignPublicKey, Served>,
}

/// A notify client and the way to the task that serves it.
struct Served {
    socket: PathBuf,
    notices: mpsc::Sender<Bytes>,
    _stop: DropGuard,
}

/// A notify client, as its task has it.
struct Client {
    chan: SignPublicKey,
    socket: PathBuf,
    notices: mpsc::Receiver<Bytes>,
}

/// What serving a notify client needs.
#[derive(Clone)]
pub(crate) struct Host {
    /// For what it asks.
    pub(crate) desk: Desk,
    /// For what it wants to be announced.
    pub(crate) store: Arc<dyn Store>,
    /// The end of everything.
    pub(crate) stop: CancellationToken,
}

impl Companions {
    /// None yet; verdicts become facts.
    pub(crate) fn new(facts: mpsc::UnboundedSender<Vec<Input>>) -> Self {
        Self { table: Arc::default(), facts }
    }

    /// From now on there are these: who is new is connected with, who is gone is left. To be called within a runtime.
    pub(crate) fn set(
        &self,
        validators: &BTreeMap<SignPublicKey, PathBuf>,
        clients: &BTreeMap<SignPublicKey, PathBuf>,
        host: &Host,
    ) {
        let mut table = self.table();
        table.validators.clone_from(validators);
        table.clients.retain(|chan, served| clients.get(chan) == Some(&served.socket));
        for (chan, socket) in clients {
            table.clients.entry(*chan).or_insert_with(|| {
                let (sender, notices) = mpsc::channel(NOTICES_MAX);
                let stop = host.stop.child_token();
                let client = Client { chan: *chan, socket: socket.clone(), notices };
                tokio::spawn(serve(client, host.clone(), stop.clone()));
                Served { socket: socket.clone(), notices: sender, _stop: stop.drop_guard() }
            });
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the validator of a channel; its verdict comes as a fact. Without an answer the proposal is good, as in the
    /// original.
    pub(crate) fn validate(&self, ticket: Ticket, chan: SignPublicKey, proposal: Hash) {
        let socket = self.table().validators.get(&chan).cloned();
        let facts = self.facts.clone();
        tokio::spawn(async move {
            let asked = async {
                match socket {
                    Some(socket) => ask(&socket, chan, proposal).await,
                    // It was taken out of the configuration a moment ago.
                    None => Ok(true),
                }
            };
            let accepted = match timeout(Duration::from_secs(VERDICT_SECONDS), asked).await {
                Ok(Ok(accepted)) => accepted,
                Ok(Err(error)) => {
                    tracing::warn!("cannot ask the validator of refchan {chan} – {error}");
                    true
                }
                Err(_) => {
                    tracing::warn!("the validator of refchan {chan} has no verdict in {VERDICT_SECONDS} s");
                    true
                }
            };
            // Without a receiver the process is ending.
            let _ = facts.send(vec![Input::Validated { ticket, accepted }]);
        });
    }

    /// Gives a notice to the client of its channel, if there is one.
    pub(crate) fn notice(&self, chan: &SignPublicKey, notice: &Bytes) {
        if let Some(client) = self.table().clients.get(chan)
            && client.notices.try_send(notice.clone()).is_err()
        {
            tracing::debug!("the notify client of refchan {chan} does not read: it misses a notice");
        }
    }
}

async fn ask(socket: &Path, chan: SignPublicKey, proposal: Hash) -> io::Result<bool> {
    let mut nonce = vec![0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| io::Error::from(io::ErrorKind::Other))?;
    let question = ChanValidate { nonce: nonce.clone(), chan, verdict: Verdict::Validate(proposal) };
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&frame(&seal_local(protocol::CHAN_VALIDATE_LOCAL, &question))).await?;
    loop {
        let packet = read_frame(&mut stream).await?;
        let Ok(answer) = open_local::<ChanValidate>(protocol::CHAN_VALIDATE_LOCAL, &packet) else { continue };
        match answer.verdict {
            _ if answer.nonce != nonce => {}
            Verdict::Accepted(hash) if hash == proposal => return Ok(true),
            Verdict::Rejected(hash) if hash == proposal => return Ok(false),
            _ => {}
        }
    }
}

/// Serves a notify client until `stop`.
async fn serve(mut client: Client, host: Host, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            ended = talk(&mut client, &host) => {
                tracing::debug!("no notify client of refchan {} – {ended}", client.chan);
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(Duration::from_secs(RECONNECT_SECONDS)) => {}
        }
    }
}

/// Connects and passes notices both ways until the client goes away.
async fn talk(client: &mut Client, host: &Host) -> io::Error {
    let (mut reader, mut writer) = match UnixStream::connect(&client.socket).await {
        Ok(stream) => stream.into_split(),
        Err(error) => return error,
    };
    // Reading has a task of its own: a frame that has come in part must not be given up for a notice.
    let (frames, mut asked) = mpsc::channel(NOTICES_MAX);
    let reading = async move {
        loop {
            let read = read_frame(&mut reader).await;
            let ended = read.is_err();
            if frames.send(read).await.is_err() || ended {
                return;
            }
        }
    };
    // It ends with us, also when we are dropped.
    let _reading = AbortOnDropHandle::new(tokio::spawn(reading));
    loop {
        tokio::select! {
            Some(notice) = client.notices.recv() => {
                let packet = seal_local(protocol::CHAN_NOTICE_LOCAL, &Raw(notice));
                if let Err(error) = writer.write_all(&frame(&packet)).await {
                    return error;
                }
            }
            read = asked.recv() => match read {
                Some(Ok(packet)) => obey(client.chan, &packet, host).await,
                Some(Err(error)) => return error,
                None => return io::Error::from(io::ErrorKind::UnexpectedEof),
            }
        }
    }
}

/// A value that is CBOR already.
struct Raw(Bytes);

impl Encode for Raw {
    fn encode(&self, e: &mut hbs2_core::cbor::Encoder) {
        e.raw(&self.0);
    }
}

/// Does what a notify client asks for.
async fn obey(chan: SignPublicKey, packet: &Bytes, host: &Host) {
    let command = match open_local::<ChanNotice>(protocol::CHAN_NOTICE_LOCAL, packet) {
        Ok(ChanNotice::Notify { chan: named, signed }) if named == chan => {
            Command::Notify { chan, signed: signed.to_bytes().into() }
        }
        Ok(ChanNotice::Action { chan: named, action: ChanAction::Fetch(root) }) if named == chan => {
            Command::Want { root, keep: Keep::UntilDone }
        }
        Ok(ChanNotice::Action { chan: named, action: ChanAction::Announce(root) }) if named == chan => {
            let store = Arc::clone(&host.store);
            let stat = tokio::task::spawn_blocking(move || store.stat(&root)).await;
            let Ok(Ok(Some(stat))) = stat else {
                return tracing::warn!("block {root} is not here, so it cannot be announced");
            };
            Command::Announce { root, bytes: stat.bytes }
        }
        Ok(_) => return tracing::warn!("the notify client of refchan {chan} speaks of another channel"),
        Err(error) => {
            return tracing::debug!("the notify client of refchan {chan} sent something else – {error}");
        }
    };
    // An error means that the daemon is stopping.
    if let Ok(hbs2_proto::Answer::Refused(refusal)) = host.desk.command(command).await {
        tracing::warn!("cannot do what the notify client of refchan {chan} asks – {refusal}");
    }
}

fn frame(packet: &[u8]) -> Vec<u8> {
    let bytes = u32::try_from(packet.len()).expect("packets are far below 4 GiB");
    [&bytes.to_be_bytes()[..], packet].concat()
}

/// One frame; empty ones are keep-alives and are read over.
async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    loop {
        let bytes = from.read_u32().await? as usize;
        if bytes > PACKET_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
        }
        if bytes > 0 {
            let mut packet = vec![0; bytes];
            from.read_exact(&mut packet).await?;
            return Ok(packet.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    fn chan() -> SignPublicKey {
        SignPublicKey::from_bytes([3; 32])
    }

    /// A validator that answers one question with this verdict, after an answer to a question nobody asked.
    async fn validator(listener: UnixListener, verdict: fn(Hash) -> Verdict) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let packet = read_frame(&mut stream).await.unwrap();
        let question: ChanValidate = open_local(protocol::CHAN_VALIDATE_LOCAL, &packet).unwrap();
        let Verdict::Validate(hash) = question.verdict else { panic!("a question") };
        let stale = ChanValidate { nonce: vec![0; 3], verdict: Verdict::Rejected(hash), ..question.clone() };
        for answer in [stale, ChanValidate { verdict: verdict(hash), ..question }] {
            let packet = seal_local(protocol::CHAN_VALIDATE_LOCAL, &answer);
            stream.write_all(&[0; 4]).await.unwrap();
            stream.write_all(&frame(&packet)).await.unwrap();
        }
    }

    async fn verdict_of(verdict: Option<fn(Hash) -> Verdict>) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("validator");
        let (facts, mut told) = mpsc::unbounded_channel();
        if let Some(verdict) = verdict {
            tokio::spawn(validator(UnixListener::bind(&socket).unwrap(), verdict));
        }
        let companions = Companions::new(facts);
        companions.table().validators.insert(chan(), socket);
        companions.validate(Ticket(7), chan(), Hash::of(b"p"));
        match told.recv().await.unwrap().as_slice() {
            [Input::Validated { ticket: Ticket(7), accepted }] => *accepted,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_validator_decides_and_without_one_a_proposal_is_good() {
        assert!(verdict_of(Some(Verdict::Accepted)).await);
        assert!(!verdict_of(Some(Verdict::Rejected)).await);
        assert!(verdict_of(None).await);
    }
}
