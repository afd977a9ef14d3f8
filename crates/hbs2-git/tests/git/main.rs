//! Real git against repositories in storage folders.

mod broken;
mod clone;
mod conflict;
mod fetch;
mod push;
mod world;
