//! What clients may ask (spec: wire 1.6).
//!
//! One file for each service. Questions about links, downloads and references go to the decision task; blocks and
//! raw references go to the store, on threads that may block, past the decision task. Waits are woken by events.
//! What makes no sense yet is not served and answers "not found".

mod figures;
mod lwwref;
mod mailbox;
mod node;
mod overview;
mod peer;
mod puts;
mod refchan;
mod reflog;
mod script;
mod storage;
mod waits;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use hbs2_proto::{Answer, Command};
use hbs2_rpc::frame::Fault;
use hbs2_rpc::server::Router;
use hbs2_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::driver::{Desk, Stopping};
use crate::events::Hub;
use crate::log::Log;
use crate::reload::Reload;
use crate::run::About;
use puts::Puts;

/// What every service needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Service {
    desk: Desk,
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    puts: Arc<Puts>,
    about: Arc<About>,
    since: Instant,
    stop: CancellationToken,
    log: Log,
    reload: Reload,
}

impl Service {
    /// Joins the parts and starts the thread that stores single blocks.
    pub(crate) fn start(
        desk: Desk,
        store: Arc<dyn Store>,
        hub: Arc<Hub>,
        about: About,
        stop: CancellationToken,
        log: Log,
        reload: Reload,
    ) -> io::Result<Self> {
        let puts = Arc::new(Puts::start(Arc::clone(&store))?);
        Ok(Self { desk, store, hub, puts, about: Arc::new(about), since: Instant::now(), stop, log, reload })
    }

    /// Asks the store on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Fault> {
        let store = Arc::clone(&self.store);
        let asked = tokio::task::spawn_blocking(move || ask(&*store)).await;
        asked.map_err(|_| Fault::from(Stopping))?.map_err(failed)
    }

    /// Carries a command out; a refusal is a failure.
    async fn command(&self, command: Command) -> Result<Answer, Fault> {
        match self.desk.command(command).await? {
            Answer::Refused(refusal) => Err(Fault::failed(refusal)),
            answer => Ok(answer),
        }
    }

    /// Carries a command out of whose answer only the success matters.
    async fn order(&self, command: Command) -> Result<(), Fault> {
        self.command(command).await.map(drop)
    }
}

impl From<Stopping> for Fault {
    fn from(stopping: Stopping) -> Self {
        Self::failed(stopping)
    }
}

/// A failure of the store: the log has the causes, the client the first line.
fn failed(error: StoreError) -> Fault {
    crate::workers::report("serve a client", &error);
    Fault::failed(error)
}

/// All methods.
pub(crate) fn router(service: Service) -> Router {
    let router = peer::routes(Router::new(), &service);
    let router = storage::routes(router, &service);
    let router = reflog::routes(router, &service);
    let router = lwwref::routes(router, &service);
    let router = refchan::routes(router, &service);
    let router = mailbox::routes(router, &service);
    let router = node::routes(router, &service);
    let router = figures::routes(router, &service);
    waits::routes(router, &service)
}

/// A handler of a method: the service is cloned into each call.
fn with<I, A: Future>(
    service: &Service,
    run: impl Fn(Service, I) -> A + Send + Sync + 'static,
) -> impl Fn(I) -> A + Send + Sync + 'static {
    let service = service.clone();
    move |input| run(service.clone(), input)
}
