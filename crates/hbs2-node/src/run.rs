//! A daemon from its start to its end.
//!
//! [`run`] blocks until the daemon has ended; [`Daemon`] is the same on a thread of its own, for programs and
//! tests that go on meanwhile. The daemon has a runtime with two threads for sockets and decisions and the worker
//! threads of `workers`; it shares nothing with another daemon in the same process but the log.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hbs2_core::{SignPublicKey, SignSecretKey};
use hbs2_net::{Listen, Net, multicast};
use hbs2_proto::{Config, Input, Node, io as proto};
use hbs2_rpc::server::Listener;
use hbs2_store::{DiskStore, Durability, Store, StoreError};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::companions::{Companions, Host};
use crate::config::{self, CONFIG_FILE, InitError, KeyError, Settings, SettingsError};
use crate::driver::Driver;
use crate::events::Hub;
use crate::log::{Level, Log};
use crate::reload::{self, Reload};
use crate::serve::Service;
use crate::workers::Workers;
use crate::{Places, polls, serve};

/// Threads of the runtime, in count. The decisions are one task; a second thread moves bytes meanwhile.
const RUNTIME_THREADS: usize = 2;

/// Threads for the blocking calls of clients, in count: writes that wait for the same sync, and reads beside
/// them.
const BLOCKING_THREADS_MAX: usize = 8;

/// After this long an idle blocking thread ends, in seconds.
const BLOCKING_IDLE_SECONDS: u64 = 10;

/// Events of the network that wait for the decision task, in count. Their bytes have a limit of their own.
const NETWORK_EVENTS_MAX: usize = 256;

/// Time for the last sync, in milliseconds. What is not synced then can be fetched again.
const SYNC_MS: u64 = 600;

/// Time for blocking calls of clients to end when everything else has, in milliseconds.
const STOP_MS: u64 = 300;

/// What the command line says, and where things lie when it says nothing.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What the environment gives.
    pub places: Places,
    /// `-c`: the directory of the configuration.
    pub config_dir: Option<PathBuf>,
    /// `-p`: the directory of the storage.
    pub storage: Option<PathBuf>,
    /// `-k`: the file of the peer key.
    pub key: Option<PathBuf>,
    /// `-r`: the socket for clients.
    pub rpc_socket: Option<PathBuf>,
    /// Where to listen for TCP instead of what the configuration says.
    pub listen_tcp: Option<SocketAddr>,
    /// `-l`: where to listen for UDP instead of what the configuration says.
    pub listen_udp: Option<SocketAddr>,
    /// How much to log, at least.
    pub level: Level,
}

/// A running daemon, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its peer key.
    pub key: SignPublicKey,
    /// Where it listens for TCP, with the real port.
    pub listen_tcp: Option<SocketAddr>,
    /// Where it listens for UDP, with the real port.
    pub listen_udp: Option<SocketAddr>,
    /// Where HTTP is served, with the real port.
    pub http: Option<SocketAddr>,
    /// Whether it looks for peers on the local network.
    pub multicast: bool,
    /// Its socket for clients.
    pub rpc_socket: PathBuf,
    /// The directory of its storage.
    pub storage: PathBuf,
}

/// The door of HTTP. The daemon opens it with its other ports, so that a port that is taken stops its start; the
/// answers are given by whoever it is handed to.
#[derive(Debug)]
pub struct HttpDoor {
    /// Where clients come in.
    pub listener: TcpListener,
    /// The file of the token with which clients may write.
    pub token_file: Option<PathBuf>,
}

/// Why a daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Neither an option nor the environment says where something is.
    #[error("neither an option nor HOME says where the {what} is")]
    NoPlace {
        /// What is looked for.
        what: &'static str,
    },
    /// There is no configuration and none can be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The configuration is broken.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// No peer key is named, and there is none at its usual place.
    #[error("the configuration {} names no key, and there is no {}", config.display(), default.display())]
    NoKey {
        /// The configuration.
        config: PathBuf,
        /// Where the key would be.
        default: PathBuf,
    },
    /// The peer key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The storage cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A port cannot be used.
    #[error(transparent)]
    Listen(#[from] hbs2_net::BindError),
    /// The port of HTTP cannot be used.
    #[error("cannot listen on http://{address}")]
    Http {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The socket for clients cannot be used.
    #[error(transparent)]
    Socket(#[from] hbs2_rpc::server::BindError),
    /// The system gives no threads.
    #[error("cannot start the threads of the peer")]
    Threads(#[source] io::Error),
}

/// Runs a daemon until `shutdown` ends or a client stops it. `ready` is called when it serves, and gets the door
/// of HTTP if the configuration has one. A configuration is made where there is none.
///
/// # Errors
/// The daemon cannot start; nothing is left running then.
pub fn run(
    options: &Options,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&About, Option<HttpDoor>),
) -> Result<(), RunError> {
    let settings = read_settings(options)?;
    let level =
        Level { debug: options.level.debug || settings.debug, trace: options.level.trace || settings.trace };
    let log = Log::install(level);
    let runtime = runtime().map_err(RunError::Threads)?;
    let outcome = runtime.block_on(live(options, settings, log, shutdown, ready));
    runtime.shutdown_timeout(Duration::from_millis(STOP_MS));
    outcome
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_keep_alive(Duration::from_secs(BLOCKING_IDLE_SECONDS))
        .thread_name("hbs2-node")
        .enable_all()
        .build()
}

/// The settings of the configuration, overruled by the options.
pub(crate) fn read_settings(options: &Options) -> Result<Settings, RunError> {
    let dir = options.config_dir.clone().or_else(|| options.places.peer_config());
    let dir = dir.ok_or(RunError::NoPlace { what: "configuration" })?;
    if !dir.join(CONFIG_FILE).exists() {
        let made = config::init(&dir)?;
        tracing::info!("made the configuration {}", made.config.display());
    }
    let mut settings = Settings::read(&dir, &options.places)?;
    settings.key = options.key.clone().or(settings.key.take());
    if settings.key.is_none() {
        return Err(RunError::NoKey { config: dir.join(CONFIG_FILE), default: dir.join(config::KEY_FILE) });
    }
    if let Some(address) = options.listen_tcp {
        settings.listen_tcp = Some(address);
    }
    if let Some(address) = options.listen_udp {
        settings.listen_udp = Some(address);
    }
    let storage = options.storage.clone().or(settings.storage.take()).or_else(|| options.places.storage());
    settings.storage = Some(storage.ok_or(RunError::NoPlace { what: "storage" })?);
    let mut socket = options.places.socket.clone();
    socket.option.clone_from(&options.rpc_socket);
    socket.config = settings.rpc_socket.take();
    settings.rpc_socket = Some(socket.listen());
    Ok(settings)
}

/// The life of a daemon within its runtime.
async fn live(
    options: &Options,
    settings: Settings,
    log: Log,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&About, Option<HttpDoor>),
) -> Result<(), RunError> {
    let key = settings.key.as_deref().expect("reading the settings fills the key in");
    let key = config::read_key(key)?;
    let storage = settings.storage.clone().expect("reading the settings fills the storage in");
    let rpc_socket = settings.rpc_socket.clone().expect("reading the settings fills the socket in");
    let store: Arc<dyn Store> = Arc::new(DiskStore::open(&storage)?);
    let (network_sender, network) = mpsc::channel(NETWORK_EVENTS_MAX);
    let group = settings.multicast.then_some(multicast::GROUP);
    let listen = Listen { tcp: settings.listen_tcp, udp: settings.listen_udp, group };
    let net = Net::start(listen, network_sender)?;
    let listener = Listener::bind(&rpc_socket)?;
    let http = settings.http.map(|address| open_http(address, &settings)).transpose()?;
    let about = About {
        key: key.public(),
        listen_tcp: net.listen_tcp(),
        listen_udp: net.listen_udp(),
        http: http.as_ref().and_then(|door| door.listener.local_addr().ok()),
        multicast: settings.multicast && net.listen_udp().is_some(),
        rpc_socket,
        storage,
    };

    let node = node(&settings, key, &about, &*store)?;
    net.limit(&reload::limits(node.config(), &settings));
    let (facts_sender, facts) = mpsc::unbounded_channel();
    let companions = Companions::new(facts_sender.clone());
    let workers = Workers::start(Arc::clone(&store), facts_sender.clone()).map_err(RunError::Threads)?;
    let hub = Arc::new(Hub::default());
    let (driver, desk) = Driver::new(
        node,
        net,
        (workers, companions.clone()),
        Arc::clone(&hub),
        network,
        (facts_sender, facts),
    );
    let stop = CancellationToken::new();
    let host = Host { desk: desk.clone(), store: Arc::clone(&store), stop: stop.clone() };
    companions.set(&settings.validators, &settings.notify_clients, &host);
    let reload = Reload::new(options, &settings, companions, host, log.clone());
    let service =
        Service::start(desk.clone(), store.clone(), hub, about.clone(), stop.clone(), log, reload.clone())
            .map_err(RunError::Threads)?;
    let driving = tokio::spawn(driver.run(stop.clone()));
    let serving =
        tokio::spawn(hbs2_rpc::server::serve(listener, Arc::new(serve::router(service)), stop.clone()));
    let adopting = tokio::spawn(polls::adopt(desk, settings.polls));
    let hangups = tokio::spawn(reload::at_hangups(reload));
    log_start(&about);
    ready(&about, http);

    tokio::select! {
        () = shutdown => tracing::info!("stopping"),
        () = stop.cancelled() => tracing::info!("stopping, as a client asked"),
    }
    stop.cancel();
    adopting.abort();
    hangups.abort();
    // A panic of one of the tasks has been printed; the others end all the same.
    let _ = tokio::join!(driving, serving);
    close(store).await
}

fn open_http(address: SocketAddr, settings: &Settings) -> Result<HttpDoor, RunError> {
    let listener = TcpListener::bind(address).map_err(|source| RunError::Http { address, source })?;
    Ok(HttpDoor { listener, token_file: settings.http_token.clone() })
}

/// The machine, with what it saved in an earlier life.
fn node(
    settings: &Settings,
    key: SignSecretKey,
    about: &About,
    store: &dyn Store,
) -> Result<Node, StoreError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the system gives random bytes");
    let mut config = Config::new(key, seed);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    config.clock = Some((Instant::now(), since_1970.as_secs()));
    config.listen_tcp = about.listen_tcp.map(|address| address.port());
    config.listen_udp = about.listen_udp.map(|address| address.port());
    // Others would knock in vain at what only this machine can reach.
    config.http_port = about.http.filter(|at| !at.ip().is_loopback()).map(|at| at.port());
    let config = reload::apply(config, settings);
    if settings.downloads_del_on_start {
        store.set_record(proto::WANTS_RECORD, None)?;
    }
    let now = Instant::now();
    let mut node = Node::new(config, now);
    for name in proto::RECORDS {
        if let Some(value) = store.record(name)? {
            node.handle(now, Input::Record { name: name.to_owned(), value });
        }
    }
    Ok(node)
}

fn log_start(about: &About) {
    tracing::info!("peer {} runs, storage {}", about.key, about.storage.display());
    let tcp = about.listen_tcp.map(|address| format!("tcp://{address}"));
    let udp = about.listen_udp.map(|address| format!("udp://{address}"));
    let http = about.http.map(|address| format!("http://{address}"));
    let socket = about.rpc_socket.display().to_string();
    let places: Vec<String> = tcp.into_iter().chain(udp).chain(http).chain([socket]).collect();
    tracing::info!("listening on {}", places.join(", "));
}

/// Brings everything to stable storage. The store closes when its last user, maybe a walk that is still under
/// way, lets go of it.
async fn close(store: Arc<dyn Store>) -> Result<(), RunError> {
    let sync = tokio::task::spawn_blocking(move || store.put(&[], Durability::Synced).map(drop));
    match tokio::time::timeout(Duration::from_millis(SYNC_MS), sync).await {
        Ok(Ok(synced)) => Ok(synced?),
        Ok(Err(_)) | Err(_) => {
            tracing::warn!("the store was not synced in time");
            Ok(())
        }
    }
}

/// A daemon on a thread of its own, without HTTP. Dropping it stops it.
#[derive(Debug)]
pub struct Daemon {
    about: About,
    stop: CancellationToken,
    thread: Option<JoinHandle<Result<(), RunError>>>,
}

impl Daemon {
    /// Starts a daemon and returns when it serves.
    ///
    /// # Errors
    /// As [`run`].
    pub fn start(options: Options) -> Result<Self, RunError> {
        let stop = CancellationToken::new();
        let (sender, serves) = std::sync::mpsc::channel();
        let stopped = stop.clone();
        let life = move || {
            run(&options, stopped.cancelled_owned(), move |about, _| {
                // The receiver waits for this or for the end of the thread.
                let _ = sender.send(about.clone());
            })
        };
        let thread = std::thread::Builder::new().name("hbs2-daemon".to_owned());
        let thread = thread.spawn(life).map_err(RunError::Threads)?;
        match serves.recv() {
            Ok(about) => Ok(Self { about, stop, thread: Some(thread) }),
            Err(_) => match join(thread) {
                Err(error) => Err(error),
                Ok(()) => Err(RunError::Threads(io::Error::other("the daemon ended at once"))),
            },
        }
    }

    /// What the daemon tells about itself.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its socket for clients.
    #[must_use]
    pub fn rpc_socket(&self) -> &Path {
        &self.about.rpc_socket
    }

    /// Stops the daemon and waits until it has ended.
    ///
    /// # Errors
    /// The store could not be closed cleanly.
    pub fn stop(mut self) -> Result<(), RunError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), RunError> {
        self.stop.cancel();
        self.thread.take().map_or(Ok(()), join)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the peer did not end cleanly");
        }
    }
}

fn join(thread: JoinHandle<Result<(), RunError>>) -> Result<(), RunError> {
    thread.join().unwrap_or_else(|_| Err(RunError::Threads(io::Error::other("the daemon panicked"))))
}
