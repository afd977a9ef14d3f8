//! A made-up world for the node's decisions: many nodes, one seed, virtual time.
//!
//! [`Sim`] is the other driver of `hbs2-proto`. It carries packets over lines with delay and bandwidth, and datagrams
//! over others that lose, repeat and shuffle them; it cuts lines,
//! splits the network, stops nodes and starts them again with or without their disk, and lets some of them lie. The
//! same seed gives the same run, to the packet. After each step the invariants are checked: a stored block has its
//! hash, a reference takes only what its rule allows, a command is answered once, and nothing grows over its limit.
//! [`soak`] makes up whole stories from a seed.
//!
//! A test builds a world, runs it until something holds, and asks what the nodes have:
//!
//! ```
//! use hbs2_testkit::sim::{Fault, Sim};
//! use hbs2_proto::{Command, Keep};
//! use std::time::Duration;
//!
//! let mut sim = Sim::new(1);
//! let (alice, bob) = (sim.node("alice"), sim.node("bob"));
//! sim.know(bob, alice);
//! let root = sim.put_data(alice, &[7; 600_000]);
//! sim.start_all();
//! sim.command(bob, Command::Want { root, keep: Keep::ThisRun });
//! assert!(sim.run_until(Duration::from_secs(5), |sim| sim.has_tree(bob, &root)), "{sim}");
//! ```

mod datagrams;
mod disk;
mod driver;
mod invariants;
mod letters;
mod lines;
pub mod soak;
mod world;

pub use disk::Disk;
pub use world::{Fault, NodeId, Sim};
