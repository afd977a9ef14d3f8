//! The blocking client.
//!
//! One connection serves any number of threads: calls are numbered, sent one behind the other and answered in
//! any order. [`Client::call`] waits for its answer; [`Client::begin`] does not, so that many calls can be under
//! way at once. Every wait has a deadline, and when the connection is lost everything that waits fails at once.
//!
//! Two threads per connection carry the bytes; they end when the last `Client` and [`Pending`] are gone. No
//! call is made twice: whether to connect again is for the caller to say.

use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use hbs2_core::DecodeError;

use crate::api::Method;
use crate::frame::{self, FRAME_BYTES_MAX, Fault};
use crate::path::SocketPath;
use crate::value::Value;

mod pipe;

use pipe::{Answer, Lost, Pipe, Queued};

/// A connection to the daemon. Cheap to clone; all clones share the connection.
#[derive(Clone)]
pub struct Client {
    pipe: Arc<Pipe>,
}

/// A call that has been sent. Dropping it gives the answer up, not the call.
#[must_use = "a call that is not waited for may never be sent"]
pub struct Pending<M> {
    client: Client,
    /// Number of the call and where its answer arrives; none once it has been taken.
    answer: Option<Result<(u64, Answer), ClientError>>,
    started: Instant,
    method: PhantomData<M>,
}

/// Why a call has no answer. [`ClientError::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon listens at any of the usual places.
    #[error("no hbs2-peer answers at {}", list(tried))]
    NoDaemon {
        /// The sockets that were tried.
        tried: Vec<PathBuf>,
    },
    /// The socket cannot be connected to.
    #[error("cannot connect to hbs2-peer at {}", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket belongs to another user.
    #[error("the socket {} belongs to user {owner}, not to you", socket.display())]
    Foreign {
        /// The socket.
        socket: PathBuf,
        /// Number of the user who owns it.
        owner: u32,
    },
    /// No answer came in time.
    #[error("waited {:.1} s for {call} of hbs2-peer at {}", waited.as_secs_f64(), socket.display())]
    Timeout {
        /// The call.
        call: &'static str,
        /// The socket.
        socket: PathBuf,
        /// For how long.
        waited: Duration,
    },
    /// The connection broke before the answer came. Whether the call was carried out is not known.
    #[error("lost the connection to hbs2-peer at {} during {call}: {reason}", socket.display())]
    Lost {
        /// The call.
        call: &'static str,
        /// The socket.
        socket: PathBuf,
        /// How it broke.
        reason: String,
    },
    /// The daemon answered that it cannot.
    #[error("hbs2-peer refused {call}: {fault}")]
    Refused {
        /// The call.
        call: &'static str,
        /// What it said.
        fault: Fault,
    },
    /// The answer is not what the method answers.
    #[error("cannot read the answer of hbs2-peer to {call}")]
    Malformed {
        /// The call.
        call: &'static str,
        /// Where it went wrong.
        source: DecodeError,
    },
    /// The input is larger than a call may be. Nothing was sent.
    #[error("the input of {call} takes {bytes} bytes, a call has at most {FRAME_BYTES_MAX}")]
    TooLarge {
        /// The call.
        call: &'static str,
        /// Size of the call.
        bytes: usize,
    },
}

impl ClientError {
    /// What the user can do, in one sentence.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoDaemon { .. } | Self::Connect { .. } => {
                "start the peer with: hbs2-peer run; if it runs, name its socket in HBS2_RPC_SOCKET"
            }
            Self::Foreign { .. } => "start your own peer, or name your socket in HBS2_RPC_SOCKET",
            Self::Timeout { .. } => "see whether the peer is alive with: hbs2-peer poke",
            Self::Lost { .. } => "see why the peer stopped, start it with: hbs2-peer run, and try again",
            Self::Refused { fault: Fault::NotFound | Fault::BadRequest, .. } | Self::Malformed { .. } => {
                "this program and the running peer are of different versions: restart the peer"
            }
            Self::Refused { .. } => "see the messages of the peer",
            Self::TooLarge { .. } => "send less in one call",
        }
    }
}

/// Longest time that a call waits for earlier calls to leave the queue before it counts as lost, when it has
/// no deadline of its own yet.
const ROOM_WAIT: Duration = Duration::from_secs(30);

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Nobody listens there, or the socket belongs to another user, or it took longer than `timeout`.
    pub fn connect(path: &Path, timeout: Duration) -> Result<Self, ClientError> {
        Ok(Self { pipe: Pipe::connect(path, timeout)? })
    }

    /// Connects to the first place of `path` where a daemon listens.
    ///
    /// # Errors
    /// As [`Client::connect`]; [`ClientError::NoDaemon`] when nobody listens at any of the places.
    pub fn find(path: &SocketPath, timeout: Duration) -> Result<Self, ClientError> {
        let tried = path.candidates();
        for candidate in &tried {
            match Self::connect(candidate, timeout) {
                Err(ClientError::Connect { source, .. }) if nobody_there(&source) => {}
                other => return other,
            }
        }
        Err(ClientError::NoDaemon { tried })
    }

    /// Where the daemon was found.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.pipe.socket()
    }

    /// Calls a method and waits for its answer.
    ///
    /// # Errors
    /// No answer within `timeout`, no connection, or the daemon refused.
    pub fn call<M: Method>(&self, input: &M::Input, timeout: Duration) -> Result<M::Output, ClientError> {
        self.send::<M>(input, timeout).wait_from_start(timeout)
    }

    /// Calls a method without waiting for its answer. Waits only when the calls before it have filled the
    /// queue; what goes wrong is told by [`Pending::wait`].
    pub fn begin<M: Method>(&self, input: &M::Input) -> Pending<M> {
        self.send::<M>(input, ROOM_WAIT)
    }

    fn send<M: Method>(&self, input: &M::Input, room_wait: Duration) -> Pending<M> {
        let started = Instant::now();
        let number = self.pipe.number();
        let frame = frame::request(M::SERVICE, number, M::INDEX, &input.to_parts());
        let answer = if frame.len() > FRAME_BYTES_MAX {
            Err(ClientError::TooLarge { call: M::NAME, bytes: frame.len() })
        } else {
            match self.pipe.queue(number, frame, started + room_wait) {
                Queued::Sent(answer) => Ok((number, answer)),
                Queued::Full => Err(self.timeout::<M>(started)),
                Queued::Lost(lost) => Err(self.lost::<M>(&lost)),
            }
        };
        Pending { client: self.clone(), answer: Some(answer), started, method: PhantomData }
    }

    fn timeout<M: Method>(&self, started: Instant) -> ClientError {
        ClientError::Timeout { call: M::NAME, socket: self.socket().to_owned(), waited: started.elapsed() }
    }

    fn lost<M: Method>(&self, lost: &Lost) -> ClientError {
        ClientError::Lost { call: M::NAME, socket: self.socket().to_owned(), reason: lost.to_string() }
    }
}

impl<M: Method> Pending<M> {
    /// Waits for the answer, `timeout` from now at most.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn wait(self, timeout: Duration) -> Result<M::Output, ClientError> {
        let since_start = self.started.elapsed();
        self.wait_from_start(since_start + timeout)
    }

    fn wait_from_start(mut self, timeout: Duration) -> Result<M::Output, ClientError> {
        let (number, answer) = self.answer.take().expect("waiting consumes the pending call")?;
        let outcome = answer.recv_timeout(timeout.saturating_sub(self.started.elapsed()));
        self.client.pipe.forget(number);
        match outcome {
            Ok(Ok(output)) => M::Output::from_frame(&output)
                .map_err(|source| ClientError::Malformed { call: M::NAME, source }),
            Ok(Err(fault)) => Err(ClientError::Refused { call: M::NAME, fault }),
            Err(RecvTimeoutError::Timeout) => Err(self.client.timeout::<M>(self.started)),
            Err(RecvTimeoutError::Disconnected) => Err(self.client.lost::<M>(&self.client.pipe.lost())),
        }
    }
}

impl<M> Drop for Pending<M> {
    fn drop(&mut self) {
        if let Some(Ok((number, _))) = &self.answer {
            self.client.pipe.forget(*number);
        }
    }
}

fn nobody_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}
