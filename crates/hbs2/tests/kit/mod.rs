//! What the tests of the binary share.

use std::path::Path;

use hbs2_testkit::Home;

/// A new home for `name`, in which the binary just built is called.
pub(crate) fn home(name: &str) -> Home {
    Home::new(name, Path::new(env!("CARGO_BIN_EXE_hbs2"))).expect("a temporary directory can be made")
}
