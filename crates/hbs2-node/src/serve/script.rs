//! Commands inside the peer (spec: cli 4.8): a text of forms, each answered by a form.
//!
//! This is no language: a form is the name of a command and its words, and nothing is evaluated.

use std::time::{Duration, Instant};

use hbs2_core::Hash;
use hbs2_core::addr::PeerAddr;
use hbs2_proto::io::status::PeerStatus;
use hbs2_proto::{Answer, Command, LinkId};
use hbs2_rpc::api::node::Event;
use hbs2_rpc::frame::Fault;
use hbs2_script::print::print_all;
use hbs2_script::{Form, Value, parse};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Service;

/// Forms in one text, at most: a person writes a few.
const FORMS_MAX: usize = 64;

/// How long a block, or a tree, may take to come from one peer, in seconds.
const FETCH_SECONDS: u64 = 60;

/// Time between two looks for a block.
const LOOK: Duration = Duration::from_millis(20);

/// Longest wait for the answers of all peers, in seconds.
const WAIT_SECONDS_MAX: f64 = 60.0;

/// Bytes of a chunk, in which the original counts its bursts.
const CHUNK_BYTES: u64 = 1024;

/// The commands, for who asks for another.
const COMMANDS: [&str; 9] = [
    "hey",
    "peer-info",
    "query-block-from-peer",
    "query-block-from-peer:rec",
    "query-block-size-from-peer",
    "request-block-size",
    "reset",
    "system:capabilities",
    "tcp:peer:kick",
];

/// Runs the forms of a text one after another; their answers.
pub(super) async fn run(service: Service, text: String) -> Result<String, Fault> {
    let parsed = parse(&text);
    let forms: Vec<&Form> = parsed.forms.iter().flat_map(forms_of).collect();
    let refused = match parsed.errors.first() {
        Some(wrong) => Some(wrong.to_string()),
        None if forms.len() > FORMS_MAX => Some(format!("at most {FORMS_MAX} forms are run at once")),
        None => None,
    };
    if let Some(reason) = refused {
        return Ok(print_all(&[call("error", [Form::text(&reason)])]));
    }
    let mut answers = Vec::with_capacity(forms.len());
    for form in forms {
        answers.push(answer(&service, form).await?);
    }
    Ok(print_all(&answers))
}

/// The forms of a line: it is one, or some in brackets side by side.
fn forms_of(line: &Form) -> &[Form] {
    match line.as_list() {
        Some(forms @ [first, ..]) if first.as_list().is_some() => forms,
        _ => std::slice::from_ref(line),
    }
}

/// What one form is answered. What a command cannot do is an answer too.
async fn answer(service: &Service, form: &Form) -> Result<Form, Fault> {
    let (name, args) = match form.as_call() {
        Some(call) => call,
        None => (form.as_symbol().unwrap_or_default(), &[][..]),
    };
    match run_one(service, name, args).await {
        Ok(answer) => Ok(answer),
        Err(Trouble::Told(text)) => Ok(call("error", [Form::text(&text)])),
        Err(Trouble::Symbol(name)) => Ok(Form::symbol(name)),
        Err(Trouble::Fault(fault)) => Err(fault),
    }
}

/// Why a command has no result.
enum Trouble {
    /// For this reason.
    Told(String),
    /// For this one, which has a word of its own.
    Symbol(&'static str),
    /// The daemon itself fails.
    Fault(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<crate::driver::Stopping> for Trouble {
    fn from(stopping: crate::driver::Stopping) -> Self {
        Self::Fault(stopping.into())
    }
}

fn told<T>(text: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Told(text.into()))
}

async fn run_one(service: &Service, name: &str, args: &[Form]) -> Result<Form, Trouble> {
    match (name, args) {
        ("hey", []) => Ok(call("hey", [])),
        ("system:capabilities", []) => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            Ok(call("capabilities", [integer(threads as u64)]))
        }
        ("peer-info", []) => peer_info(service).await,
        ("tcp:peer:kick", [address]) => {
            let address = address_of(address).map_err(|_| Trouble::Symbol("error:invalid-address"))?;
            let peer = find(service, address).await?;
            order(service, Command::Kick { peer: peer.key }).await?;
            Ok(call("kicked", [Form::symbol(&address.to_string())]))
        }
        ("query-block-size-from-peer", [hash, address]) => {
            let (hash, peer) = (hash_of(hash)?, find(service, address_of(address)?).await?);
            match ask(service.clone(), peer.link, hash).await? {
                Some(bytes) => Ok(call("size", [integer(bytes)])),
                None => Ok(Form::symbol("no-block")),
            }
        }
        ("query-block-from-peer", [hash, address]) => {
            let bytes = fetch(service, hash_of(hash)?, address_of(address)?, What::Block).await?;
            Ok(call("okay", [integer(bytes)]))
        }
        // The third word of the original is the size of its bursts. Ours are measured.
        ("query-block-from-peer:rec", [hash, address] | [hash, address, _]) => {
            fetch(service, hash_of(hash)?, address_of(address)?, What::Tree).await?;
            Ok(call("okay", []))
        }
        ("request-block-size", [seconds, hash]) => request_size(service, seconds, hash_of(hash)?).await,
        ("reset", []) => {
            for peer in service.desk.look(|node| node.peers()).await? {
                order(service, Command::Kick { peer: peer.key }).await?;
            }
            Ok(call("okay", []))
        }
        (known, _) if COMMANDS.contains(&known) => told(format!("{known} takes other arguments")),
        (unknown, _) => told(format!("no command {unknown:?}; there are: {}", COMMANDS.join(", "))),
    }
}

/// Carries a command out; a refusal is told.
async fn order(service: &Service, command: Command) -> Result<(), Trouble> {
    match service.desk.command(command).await? {
        Answer::Refused(refusal) => told(refusal.to_string()),
        _ => Ok(()),
    }
}

/// The peers, one form each.
async fn peer_info(service: &Service) -> Result<Form, Trouble> {
    let now = Instant::now();
    let peers = service.desk.look(|node| node.peers()).await?;
    let used = peers.into_iter().filter(|peer| !peer.spare);
    Ok(Form::list(used.map(|peer| info(now, &peer)).collect()))
}

fn info(now: Instant, peer: &PeerStatus) -> Form {
    let since = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
    let field = |name: &str, value: Form| call(name, [value]);
    let burst = (peer.window_bytes / CHUNK_BYTES).max(1);
    let mut fields = vec![
        field("key", Form::text(&peer.key.to_string())),
        field("addr", Form::text(&peer.remote.to_string())),
        field("seen", Form::symbol(&format!("{:.2}s", since(peer.heard)))),
        field("burst", integer(burst)),
        field("burst-max", integer(burst)),
        field("errors", integer(peer.lates)),
        field("downloaded", integer(peer.blocks)),
        field("miss", integer(peer.misses)),
    ];
    let trip = peer.round_trip.map(|trip| Form::symbol(&format!("{:.2}ms", trip.as_secs_f64() * 1000.0)));
    fields.extend(trip.map(|trip| field("rtt", trip)));
    call("peer", [Form::list(fields)])
}

/// The linked peer at an address, by the link that is used for it.
async fn find(service: &Service, address: PeerAddr) -> Result<PeerStatus, Trouble> {
    let peers = service.desk.look(|node| node.peers()).await?;
    let found = peers.iter().find(|peer| peer.remote == address || peer.listens == Some(address));
    let Some(found) = found else { return told(format!("no peer is linked at {address}")) };
    let used = peers.iter().find(|peer| peer.key == found.key && !peer.spare);
    Ok(used.unwrap_or(found).clone())
}

/// How long a block is, says a peer; none when it does not have it.
async fn ask(service: Service, link: LinkId, hash: Hash) -> Result<Option<u64>, Trouble> {
    match service.desk.command(Command::AskSize { link, hash }).await? {
        Answer::Size { bytes } => Ok(bytes),
        Answer::Refused(refusal) => told(refusal.to_string()),
        other => told(format!("the question was answered with {other:?}")),
    }
}

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Block,
    Tree,
}

/// Fetches from one peer alone; the bytes of the block.
async fn fetch(service: &Service, hash: Hash, address: PeerAddr, what: What) -> Result<u64, Trouble> {
    let peer = find(service, address).await?;
    let Some(bytes) = ask(service.clone(), peer.link, hash).await? else { return told("no-block") };
    let limit = Duration::from_secs(FETCH_SECONDS);
    let deadline = Instant::now() + limit;
    let mut cursor = service.hub.cursor();
    order(service, Command::WantFrom { root: hash, link: peer.link, limit }).await?;
    loop {
        if what == What::Block && service.ask(move |store| store.stat(&hash)).await?.is_some() {
            // Nobody needs the rest.
            order(service, Command::UnwantFrom { root: hash }).await?;
            return Ok(bytes);
        }
        let is_wanted = service.desk.look(move |node| node.want(&hash).is_some()).await?;
        let news = service.hub.after(cursor);
        cursor = news.cursor;
        if news.events.contains(&Event::Tree(hash)) {
            return Ok(bytes);
        }
        let now = Instant::now();
        if now >= deadline {
            return told(format!("it did not come within {FETCH_SECONDS} s"));
        }
        if news.lost {
            // Wanting what is there already costs a walk and gives a new event.
            let limit = deadline - now;
            order(service, Command::WantFrom { root: hash, link: peer.link, limit }).await?;
        } else if !is_wanted {
            return told("the link with the peer has ended, or the download was given up");
        }
        // A block tells nobody of itself, so we look; the end of the tree wakes us at once.
        let _ = timeout(LOOK, service.hub.wait(cursor)).await;
    }
}

/// What all peers say about a block within some seconds.
async fn request_size(service: &Service, seconds: &Form, hash: Hash) -> Result<Form, Trouble> {
    let seconds = match seconds.value {
        Value::Integer(seconds) => seconds as f64,
        Value::Real(seconds) => seconds,
        _ => return told("the first word is a number of seconds"),
    };
    if !(0.0..=WAIT_SECONDS_MAX).contains(&seconds) {
        return told(format!("{seconds} seconds are not within 0 to {WAIT_SECONDS_MAX}"));
    }
    let peers = service.desk.look(|node| node.peers()).await?;
    let mut asked = JoinSet::new();
    for peer in peers.into_iter().filter(|peer| !peer.spare) {
        let service = service.clone();
        asked.spawn(async move {
            let bytes = ask(service, peer.link, hash).await.ok().flatten();
            bytes.map(|bytes| (bytes, peer.key, peer.remote))
        });
    }
    let mut sizes = Vec::new();
    let all = async {
        while let Some(answer) = asked.join_next().await {
            sizes.extend(answer.ok().flatten());
        }
    };
    // Late or not, what is there is the answer.
    let _ = timeout(Duration::from_secs_f64(seconds), all).await;
    let form = |(bytes, key, address): (u64, hbs2_core::SignPublicKey, PeerAddr)| {
        call("size", [integer(bytes), Form::text(&key.to_string()), Form::text(&address.to_string())])
    };
    Ok(Form::list(sizes.into_iter().map(form).collect()))
}

fn hash_of(form: &Form) -> Result<Hash, Trouble> {
    let hash = form.as_word().and_then(|word| word.parse().ok());
    hash.ok_or_else(|| Trouble::Told("a hash in base58 is expected".to_owned()))
}

fn address_of(form: &Form) -> Result<PeerAddr, Trouble> {
    let address = form.as_word().and_then(|word| word.parse().ok());
    address.ok_or_else(|| Trouble::Told("an address such as tcp://192.0.2.7:10351 is expected".to_owned()))
}

fn call(name: &str, values: impl IntoIterator<Item = Form>) -> Form {
    Form::list([Form::symbol(name)].into_iter().chain(values).collect())
}

fn integer(number: u64) -> Form {
    Form::new(Value::Integer(i128::from(number)))
}
