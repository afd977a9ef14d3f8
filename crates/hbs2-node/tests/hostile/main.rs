//! Bad peers with real sockets against a real daemon, while an honest one delivers.
//!
//! Each test is one attack. The victim is a process of its own, so that its memory can be measured: [`victim::serves`]
//! is that process. The honest peer delivers a tree before the attack and another one during it; the second may take
//! some times as long, not more. What was measured is printed.
#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod blocks;
mod connections;
mod eve;
#[allow(dead_code, reason = "the other tests of daemons use the rest of it")]
#[path = "../peers/kit.rs"]
mod kit;
mod messages;
mod references;
mod victim;
