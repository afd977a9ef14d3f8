//! The reader of the daemon's configuration under fire: any text is settings or an error.

use std::fs;

use hbs2_node::Places;
use hbs2_node::config::Settings;
use hbs2_testkit::fuzz::fuzz;

const TEXTS: [&str; 4] = [
    "key \"./default.key\"\nlisten \"0.0.0.0:7351\"\nlisten-tcp off\nstorage \"./storage\"\nrpc unix \"./rpc.socket\"\n",
    "known-peer \"tcp://10.0.0.1:10351\"\nknown-peer \"10.0.0.1:7351\"\nknown-peers-file \"./more\"\nbootstrap-dns off\n",
    "poll reflog 10 \"BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP\"\nblacklist \"BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP\"\n\
     accept-block-announce *\ntcp-probe-wait 300\nping-interval 30\n",
    "validate refchan \"BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP\" socket unix \"./x\"\nbypass off\nmulticast off\nhttp-port 5000\n\
     refchan-notify-log 10 100 \"BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP\"\ndebug on\n",
];

#[test]
fn fuzz_config() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let places = Places::default();
    fs::write(home.path().join("default.key"), "").expect("the directory can be written");
    let seeds = TEXTS.iter().map(|text| text.as_bytes().to_vec()).collect();
    fuzz("config", seeds, |bytes| {
        fs::write(home.path().join("config"), bytes).expect("the directory can be written");
        match Settings::read(home.path(), &places) {
            Ok(settings) => format!("{} {}", settings.known_peers.len(), settings.polls.len()),
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                source.chars().filter(char::is_ascii_lowercase).take(64).collect()
            }
        }
    });
}
