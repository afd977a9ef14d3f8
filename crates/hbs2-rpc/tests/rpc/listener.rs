//! The socket file.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use hbs2_rpc::server::BindError;
use hbs2_rpc::{Listener, Router};

use crate::daemon::Daemon;

/// Runs `test` within a runtime and a directory.
fn within<T>(test: impl FnOnce(&std::path::Path) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    test(&dir.path().join("socket"))
}

#[test]
fn only_its_owner_may_connect() {
    within(|path| {
        let listener = Listener::bind(path).unwrap();
        assert_eq!(listener.path(), path);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1);
    });
}

#[test]
fn a_stale_file_is_replaced_and_a_living_daemon_is_not() {
    within(|path| {
        drop(UnixListener::bind(path).unwrap());
        assert!(path.exists(), "a dead daemon leaves its file behind");
        let listener = Listener::bind(path).unwrap();
        let error = Listener::bind(path).unwrap_err();
        assert!(matches!(error, BindError::Live { .. }));
        assert_eq!(error.to_string(), format!("another hbs2-peer is listening at {}", path.display()));
        drop(listener);
        assert!(!path.exists());
        Listener::bind(path).unwrap();
    });
}

#[test]
fn a_file_that_is_not_a_socket_is_left_alone() {
    within(|path| {
        std::fs::write(path, "precious").unwrap();
        assert!(matches!(Listener::bind(path).unwrap_err(), BindError::NotASocket { .. }));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "precious");
    });
}

#[test]
fn a_file_that_another_daemon_put_in_its_place_is_not_removed() {
    within(|path| {
        let listener = Listener::bind(path).unwrap();
        std::fs::remove_file(path).unwrap();
        let _other = UnixListener::bind(path).unwrap();
        drop(listener);
        assert!(path.exists());
    });
}

#[test]
fn a_place_that_cannot_be_is_an_error_with_its_path() {
    within(|path| {
        let missing = path.join("missing").join("s");
        assert!(Listener::bind(&missing).unwrap_err().to_string().contains("missing"));
        let long = path.with_file_name("x".repeat(200));
        assert!(Listener::bind(&long).is_err());
        assert!(!long.exists());
    });
}

#[test]
fn the_file_is_gone_when_the_daemon_has_stopped() {
    let mut daemon = Daemon::start(Router::new());
    assert!(daemon.socket.exists());
    daemon.stop();
    assert!(!daemon.socket.exists());
}
