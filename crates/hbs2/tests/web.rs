//! HTTP of a real peer, asked byte by byte.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hbs2_testkit::{Daemon, Home, free_address};
use kit::{home, text};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon with these lines in its config; where it serves HTTP.
fn serve(home: &Home, extra: &str) -> (Daemon, SocketAddr) {
    let daemon =
        Daemon::start_at(home, free_address().unwrap(), &[], &format!("http-port 0\n{extra}")).unwrap();
    let poke = text(home, "hbs2-peer poke");
    let port = poke.lines().find_map(|line| line.strip_prefix("http-port: ")).expect("poke names the port");
    (daemon, SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap())))
}

/// The answer to one request: head and body.
fn ask(at: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head ends") + 4;
    let body = answer.split_off(end);
    (String::from_utf8(answer).unwrap(), body)
}

fn get(at: SocketAddr, path: &str) -> (String, Vec<u8>) {
    ask(at, "GET", path, "", b"")
}

#[test]
fn a_stored_file_is_served_with_its_name_and_kind() {
    let home = home("alice");
    let (_daemon, at) = serve(&home, "");
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 7) as u8 % 90 + 32).collect();
    fs::write(home.join("notes.txt"), &content).unwrap();
    let root = text(&home, "hbs2 metadata create --auto -H notes.txt");
    let root = root.trim();
    let (head, body) = get(at, &format!("/tree/{root}"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain; charset=us-ascii\r\n"), "{head}");
    assert!(head.contains("filename=\"notes.txt\"\r\n"), "{head}");
    assert!(head.contains(&format!("etag: \"{root}\"\r\n")), "{head}");
    assert!(body == content);
    let (head, body) = ask(at, "GET", &format!("/tree/{root}"), "range: bytes=262140-262150\r\n", b"");
    assert!(head.starts_with("HTTP/1.1 206"), "{head}");
    assert_eq!(body, content[262_140..=262_150]);
    let (head, _) = get(at, "/size/DDHdMB3Vn7ZsWBZeyQSd7AUpsdUaNK3q62LM8H3v51hi");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}

#[test]
fn sealed_and_plain_trees_are_not_shown() {
    let home = home("alice");
    let (_daemon, at) = serve(&home, "");
    fs::write(home.join("plan.txt"), "plan").unwrap();
    let plain = text(&home, "hbs2 store plan.txt");
    fs::create_dir_all(home.join(".hbs2-keyman/keys")).unwrap();
    let keyring = home.line("hbs2 keyring-new -n1").ok().unwrap().stdout;
    fs::write(home.join(".hbs2-keyman/keys/a.key"), keyring).unwrap();
    fs::write(home.join("members"), text(&home, "hbs2 keyring-list .hbs2-keyman/keys/a.key")).unwrap();
    fs::write(home.join("gk"), text(&home, "hbs2 groupkey-new members")).unwrap();
    let sealed = text(&home, "hbs2 store --groupkey gk -k .hbs2-keyman/keys/a.key plan.txt");
    for (root, why) in [(plain.trim(), "no tree with metadata"), (sealed.trim(), "is sealed")] {
        let (head, body) = get(at, &format!("/tree/{root}"));
        assert!(head.starts_with("HTTP/1.1 404"), "{head}");
        let body = String::from_utf8(body).unwrap();
        assert!(body.contains(why), "{body}");
        let (head, block) = get(at, &format!("/cat/{root}"));
        assert!(
            head.starts_with("HTTP/1.1 200") && !block.is_empty(),
            "a block is served to who knows its hash"
        );
    }
}

#[test]
fn references_of_the_peer_lead_to_their_trees() {
    let home = home("alice");
    let (_daemon, at) = serve(&home, "");
    fs::create_dir_all(home.join(".hbs2-keyman/keys")).unwrap();
    let keyring = home.line("hbs2 keyring-new").ok().unwrap().stdout;
    fs::write(home.join(".hbs2-keyman/keys/new.key"), keyring).unwrap();
    text(&home, "hbs2-keyman update");
    let key = text(&home, "hbs2-keyman list").split(' ').next().unwrap().to_owned();
    fs::write(home.join("page.html"), "<!doctype html><p>hello").unwrap();
    let root = text(&home, "hbs2 metadata create --auto -H page.html");
    text(&home, &format!("hbs2-peer poll add {key} lwwref 5"));
    let (head, _) = get(at, &format!("/ref/{key}"));
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    text(&home, &format!("hbs2-peer lwwref update -s 1 -v {} {key}", root.trim()));
    let (head, body) = get(at, &format!("/ref/{key}"));
    assert!(head.contains("cache-control: public, max-age=300\r\n"), "{head}");
    assert!(head.contains("content-security-policy: sandbox"), "{head}");
    assert_eq!(body, b"<!doctype html><p>hello");
}

#[test]
fn writing_wants_the_token_of_the_config_and_reaches_the_peer() {
    let home = home("alice");
    fs::write(home.join("http-token"), "a-long-enough-token\n").unwrap();
    let token_file = home.join("http-token").display().to_string();
    let (_daemon, at) = serve(&home, &format!("http-token-file \"{token_file}\"\n"));
    let (head, _) = ask(at, "PUT", "/", "", b"block");
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    let headers = "authorization: Bearer a-long-enough-token\r\n";
    let (head, hash) = ask(at, "PUT", "/", headers, b"block");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let hash = String::from_utf8(hash).unwrap();
    assert_eq!(home.line(&format!("hbs2 cat --raw {hash}")).ok().unwrap().stdout, b"block");
    let (head, body) = ask(at, "POST", "/reflog", headers, b"nonsense");
    assert!(head.starts_with("HTTP/1.1 400"), "{head} {}", String::from_utf8_lossy(&body));
}

#[test]
fn a_monitor_sees_the_peer_and_its_counts() {
    let home = home("alice");
    let (mut daemon, at) = serve(&home, "");
    let (head, body) = get(at, "/healthz");
    assert!(head.starts_with("HTTP/1.1 200") && body == b"ok\n", "{head}");
    fs::write(home.join("a"), "a").unwrap();
    text(&home, "hbs2 store a");
    let (_, body) = get(at, "/metrics");
    let metrics = String::from_utf8(body).unwrap();
    for line in
        ["hbs2_peers 0", "hbs2_store_blocks 2", "hbs2_links_up_total 0", "# TYPE hbs2_received_bytes counter"]
    {
        assert!(metrics.lines().any(|one| one == line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n"));
    let ended = daemon.stop().unwrap();
    assert!(ended < Duration::from_secs(5), "it took {ended:?} to end");
    assert!(TcpStream::connect(at).is_err());
}

#[test]
fn a_port_that_is_taken_stops_the_start_with_advice() {
    let home = home("alice");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    text(&home, "hbs2-peer init here");
    fs::write(
        home.join("here/config"),
        format!("listen off\nlisten-tcp off\nmulticast off\nbootstrap-dns off\nhttp-port {port}\n"),
    )
    .unwrap();
    let done = home.line("hbs2-peer run -c here").fails().unwrap();
    assert!(done.talk().contains(&format!("cannot listen on http://127.0.0.1:{port}")), "{done}");
    assert!(done.talk().contains("http-port"), "{done}");
}

#[test]
fn a_changed_port_needs_a_restart() {
    let home = home("alice");
    let (daemon, _) = serve(&home, "");
    let config = fs::read_to_string(daemon.config()).unwrap();
    fs::write(daemon.config(), config.replace("http-port 0\n", "http-port 1\n")).unwrap();
    assert_eq!(text(&home, "hbs2-peer reload"), "http-listen or http-port changed (needs a restart)");
}
