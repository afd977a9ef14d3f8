//! Asking the daemon, from tasks.
//!
//! The client of the local socket blocks its thread, so every question runs on a thread that may block. One
//! connection serves all requests; when it is lost, the next question opens another.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hbs2_rpc::ClientError;
use hbs2_rpc::api::Method;
use hbs2_rpc::client::{Client, Pending};

/// The way to the daemon. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link {
    socket: Arc<Path>,
    client: Arc<Mutex<Option<Client>>>,
    wait: Duration,
}

impl Link {
    /// A way to the daemon at `socket`, whose answers take `wait` each, at most.
    pub(crate) fn new(socket: PathBuf, wait: Duration) -> Self {
        Self { socket: socket.into(), client: Arc::default(), wait }
    }

    /// Asks from a task.
    pub(crate) async fn ask<M: Method>(&self, input: M::Input) -> Result<M::Output, ClientError> {
        self.blocking(move |link| link.call::<M>(&input)).await
    }

    /// Does something that asks and waits, on a thread that may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let link = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&link)).await;
        done.unwrap_or_else(|_| Err(self.lost("the server is stopping")))
    }

    /// Asks and waits.
    pub(crate) fn call<M: Method>(&self, input: &M::Input) -> Result<M::Output, ClientError> {
        self.noted(self.client()?.call::<M>(input, self.wait))
    }

    /// Asks, to wait later.
    pub(crate) fn begin<M: Method>(&self, input: &M::Input) -> Result<Pending<M>, ClientError> {
        Ok(self.client()?.begin::<M>(input))
    }

    /// Waits for the answer to an earlier question.
    pub(crate) fn finish<M: Method>(&self, pending: Pending<M>) -> Result<M::Output, ClientError> {
        self.noted(pending.wait(self.wait))
    }

    fn client(&self) -> Result<Client, ClientError> {
        let mut held = self.held();
        if held.is_none() {
            *held = Some(Client::connect(&self.socket, self.wait)?);
        }
        Ok(held.clone().expect("it was just filled"))
    }

    /// Forgets a connection that is lost.
    fn noted<T>(&self, outcome: Result<T, ClientError>) -> Result<T, ClientError> {
        if let Err(ClientError::Lost { .. }) = &outcome {
            *self.held() = None;
        }
        outcome
    }

    fn held(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self, reason: &str) -> ClientError {
        ClientError::Lost { call: "http", socket: self.socket.to_path_buf(), reason: reason.to_owned() }
    }
}
