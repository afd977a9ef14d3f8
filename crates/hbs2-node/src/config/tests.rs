use std::os::unix::fs::PermissionsExt;

use super::*;
use hbs2_core::SignSecretKey;
use hbs2_proto::PollKind;

const KEY_A: &str = "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9";
const KEY_B: &str = "ABtCvZyKkfGZMt5PuTpJpoU2fDgtXo4eqXjnYSGEH99K";

/// Reads `text` as the configuration of a directory that has a default key.
fn read(text: &str) -> Result<Settings, SettingsError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(init::KEY_FILE), "").unwrap();
    fs::write(dir.path().join("more"), "known-peer \"tcp://10.0.0.9:1\"\n").unwrap();
    fs::write(dir.path().join(CONFIG_FILE), text).unwrap();
    Settings::read(dir.path(), &Places::default())
}

#[test]
fn an_empty_configuration_has_the_defaults() {
    let settings = read("").unwrap();
    assert_eq!(settings.listen_tcp, Some("0.0.0.0:10351".parse().unwrap()));
    assert_eq!(settings.key, Some(settings.dir.join("default.key")));
    assert_eq!((settings.storage, settings.rpc_socket, settings.ping_interval), (None, None, None));
    assert_eq!(settings.accept_announces, AnnouncePolicy::Only(BTreeSet::new()));
    assert!(!settings.debug && !settings.trace && !settings.downloads_del_on_start);
}

#[test]
fn every_key_works_quoted_and_unquoted() {
    let quoted = format!(
        r#"
        listen "0.0.0.0:7351"
        listen-tcp "tcp://127.0.0.1:3001" ; a comment
        key "./my.key"
        storage "/var/blocks"
        rpc unix "/tmp/a.socket"
        known-peer "10.0.0.1:7351"
        known-peer "tcp://10.0.0.2:10351"
        known-peers-file "./more"
        poll reflog 5 "{KEY_A}"
        poll lwwref 31 "{KEY_B}"
        accept-block-announce "{KEY_A}"
        blacklist "{KEY_A}"
        whitelist "{KEY_B}"
        ping-interval 10
        limit-upload "500K"
        limit-download 2M
        limit-peers 64
        limit-peers-per-address 4
        memory-limit 128M
        http-port 5001
        http-listen "::1"
        http-token-file "./token"
        bootstrap-dns "example.org"
        proxy-fetch-for "{KEY_B}"
        tcp-probe-wait 60
        multicast off
        bypass off
        debug on
        trace1 on
        downloads-del-on-start on
        some-future-key (with anything) 1 2 3
        "#
    );
    for text in [quoted.clone(), quoted.replace('"', "")] {
        let settings = read(&text).unwrap();
        assert_eq!(settings.listen_tcp, Some("127.0.0.1:3001".parse().unwrap()));
        assert_eq!(settings.listen_udp, Some("0.0.0.0:7351".parse().unwrap()));
        let domains = ["bootstrap.hbs2.net", "example.org"].map(str::to_owned);
        assert_eq!(settings.bootstrap, domains.into());
        assert_eq!(settings.proxy_fetch_for, [KEY_B.parse().unwrap()].into());
        assert_eq!(settings.probe_wait, Some(Duration::from_secs(60)));
        assert!(!settings.multicast && !settings.bypass);
        assert_eq!(settings.key, Some(settings.dir.join("my.key")));
        assert_eq!(settings.storage.as_deref(), Some(Path::new("/var/blocks")));
        assert_eq!(settings.http, Some("[::1]:5001".parse().unwrap()));
        assert_eq!(settings.http_token, Some(settings.dir.join("token")));
        assert_eq!(settings.rpc_socket.as_deref(), Some(Path::new("/tmp/a.socket")));
        let peers: Vec<String> = settings.known_peers.iter().map(ToString::to_string).collect();
        assert_eq!(peers, ["10.0.0.1:7351", "tcp://10.0.0.2:10351", "tcp://10.0.0.9:1"]);
        assert_eq!(
            settings.polls,
            [
                Poll { key: KEY_A.parse().unwrap(), kind: PollKind::Reflog, minutes: 5 },
                Poll { key: KEY_B.parse().unwrap(), kind: PollKind::Lwwref, minutes: 31 },
            ]
        );
        assert_eq!(settings.accept_announces, AnnouncePolicy::Only([KEY_A.parse().unwrap()].into()));
        assert_eq!(settings.blacklist, [KEY_A.parse().unwrap()].into());
        assert_eq!(settings.whitelist, [KEY_B.parse().unwrap()].into());
        assert_eq!(settings.ping_interval, Some(Duration::from_secs(10)));
        assert_eq!((settings.upload, settings.download), (Some(500 << 10), Some(2 << 20)));
        assert_eq!((settings.peers_max, settings.peers_per_address_max), (Some(64), Some(4)));
        assert_eq!(settings.memory, Some(128 << 20));
        assert!(settings.debug && settings.trace && settings.downloads_del_on_start);
    }
}

#[test]
fn the_last_of_a_single_setting_wins_and_a_star_means_everybody() {
    let text =
        format!("storage /a\nstorage /b\naccept-block-announce \"{KEY_A}\"\naccept-block-announce *\n");
    let settings = read(&text).unwrap();
    assert_eq!(settings.storage.as_deref(), Some(Path::new("/b")));
    assert_eq!(settings.accept_announces, AnnouncePolicy::Everybody);
}

#[test]
fn tcp_can_be_switched_off() {
    assert_eq!(read("listen-tcp off").unwrap().listen_tcp, None);
}

#[test]
fn udp_multicast_and_bootstrap_domains_can_be_switched_off() {
    let settings = read("listen off\nmulticast off\nbootstrap-dns example.org\nbootstrap-dns off").unwrap();
    assert_eq!((settings.listen_udp, settings.bootstrap), (None, BTreeSet::new()));
    assert!(!settings.multicast && settings.bypass);
}

#[test]
fn http_is_off_unless_a_port_is_set_and_then_for_this_machine_only() {
    let http = |text: &str| read(text).unwrap().http;
    assert_eq!(http("http-listen 0.0.0.0"), None);
    assert_eq!(http("http-port 5000\nhttp-port off"), None);
    assert_eq!(http("http-port 5000"), Some("127.0.0.1:5000".parse().unwrap()));
    assert_eq!(http("http-port 0\nhttp-listen 0.0.0.0"), Some("0.0.0.0:0".parse().unwrap()));
}

#[test]
fn changes_are_told_with_what_they_need() {
    let old = read("listen-tcp \"127.0.0.1:1\"\nknown-peer 10.0.0.1:7351\n").unwrap();
    let mut new = old.clone();
    assert_eq!(changes(&old, &new), []);
    new.listen_tcp = None;
    new.http = Some("127.0.0.1:5000".parse().unwrap());
    new.known_peers.clear();
    new.accept_announces = AnnouncePolicy::Everybody;
    new.bypass = false;
    new.upload = Some(500 << 10);
    new.memory = Some(64 << 20);
    let texts: Vec<_> = changes(&old, &new).into_iter().map(|change| (change.text, change.needs)).collect();
    let expected = [
        ("accept-block-announce * added", Needs::Nothing),
        ("bypass off, was on", Needs::Nothing),
        ("http-listen or http-port changed", Needs::Restart),
        ("known-peer 10.0.0.1:7351 removed", Needs::Nothing),
        ("limit-upload 512000, was off", Needs::Nothing),
        ("listen-tcp changed", Needs::Restart),
        ("memory-limit 67108864, was as usual", Needs::Nothing),
    ];
    assert_eq!(texts, expected.map(|(text, needs)| (text.to_owned(), needs)));
}

#[test]
fn a_mistake_is_shown_with_file_line_and_text() {
    for (text, line, shown) in [
        ("listen-tcp \"0.0.0.0:10351\"\npoll reflog five \"x\"\n", 2, "poll reflog five"),
        ("\n\npoll reflog 5 \"not a key\"\n", 3, "not a key"),
        ("known-peer \"example.org:1\"", 1, "example.org"),
        ("listen-tcp here", 1, "listen-tcp here"),
        ("listen 7351", 1, "listen 7351"),
        ("http-port 70000", 1, "70000"),
        ("http-port 5000\nhttp-listen localhost", 2, "localhost"),
        ("rpc \"/tmp/x\"", 1, "rpc"),
        ("blacklist nobody", 1, "nobody"),
        ("ping-interval 0", 1, "ping-interval 0"),
        ("tcp-probe-wait 1", 1, "tcp-probe-wait 1"),
        ("limit-upload 10", 1, "limit-upload 10"),
        ("limit-download fast", 1, "limit-download fast"),
        ("limit-peers 0", 1, "limit-peers 0"),
        ("memory-limit 1M", 1, "memory-limit 1M"),
        ("bootstrap-dns \"not a domain\"", 1, "not a domain"),
        ("proxy-fetch-for nobody", 1, "nobody"),
        ("key \"a\" \"b\"", 1, "key"),
        ("debug on\nkey \"unclosed\n", 2, "unclosed"),
        ("(key a", 1, "(key a"),
    ] {
        let error = read(text).unwrap_err();
        let SettingsError::Malformed(error) = error else { panic!("{text}: {error:?}") };
        assert_eq!(error.place.line, line, "{text}: {error}");
        assert!(error.line.contains(shown), "{text}: {error}");
        assert!(error.file.ends_with("/config"), "{text}: {error}");
    }
}

#[test]
fn a_configuration_may_do_without_a_key_but_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CONFIG_FILE), "").unwrap();
    assert_eq!(Settings::read(dir.path(), &Places::default()).unwrap().key, None);
    let error = Settings::read(&dir.path().join("absent"), &Places::default()).unwrap_err();
    assert!(matches!(error, SettingsError::Read { .. }));
}

#[test]
fn init_makes_a_working_configuration_with_a_private_key_and_never_touches_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("deep/down");
    let made = init(&dir).unwrap();
    assert!(made.new_config && made.new_key);
    let settings = Settings::read(&dir, &Places::default()).unwrap();
    assert_eq!(settings.key.as_ref(), Some(&made.key));
    assert_eq!(fs::metadata(&made.key).unwrap().permissions().mode() & 0o777, 0o600);
    let key: SignSecretKey = read_key(&made.key).unwrap();
    let again = init(&dir).unwrap();
    assert!(!again.new_config && !again.new_key);
    fs::remove_file(&made.config).unwrap();
    let again = init(&dir).unwrap();
    assert!(again.new_config && !again.new_key);
    assert_eq!(read_key(&made.key).unwrap().public(), key.public());
    let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_key_file_that_is_absent_or_no_keyring_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.key");
    assert!(read_key(&path).unwrap_err().to_string().contains("x.key"));
    fs::write(&path, "nonsense").unwrap();
    assert!(matches!(read_key(&path), Err(KeyError::Malformed { .. })));
}

/// The example config, with or without the settings that are switched off in it.
fn example(all: bool) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/config");
    let text = fs::read_to_string(path).unwrap();
    let is_setting = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase());
    let switched = |line: &str| match line.strip_prefix(';').filter(|rest| all && is_setting(rest)) {
        Some(setting) => setting.replace("./peers", "./more"),
        None => line.to_owned(),
    };
    text.lines().map(switched).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_config_is_understood_as_it_is_and_with_everything_switched_on() {
    let as_it_is = read(&example(false)).unwrap();
    let texts: Vec<_> =
        changes(&read("").unwrap(), &as_it_is).into_iter().map(|change| change.text).collect();
    assert_eq!(texts, ["key changed"], "as it is, it says what holds anyway, in a directory of its own");
    let all = read(&example(true)).unwrap();
    assert_eq!((all.known_peers.len(), all.polls.len(), all.notice_logs.len()), (3, 3, 1));
}

#[test]
fn the_example_config_has_every_setting() {
    let config = Config::parse("examples/config", example(true)).unwrap();
    for key in KEYS {
        assert!(!config.all(key).is_empty(), "describe {key} in examples/config");
    }
}
