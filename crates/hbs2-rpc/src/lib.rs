//! The local contract: requests, replies, events over a unix socket.
