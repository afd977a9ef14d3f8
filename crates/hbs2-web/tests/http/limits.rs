//! What slow and greedy clients get.

use std::time::Duration;

use hbs2_web::Limits;

use crate::kit::{TOKEN, Web, data};

#[test]
fn a_client_that_says_nothing_is_hung_up_on() {
    let limits = Limits { head_wait: Duration::from_millis(200), ..Limits::default() };
    let web = Web::with(None, limits);
    assert_eq!(web.connect().rest(), b"");
    let mut slow = web.connect();
    slow.write(b"GET /healthz HTTP/1.1\r\nhost:");
    let rest = slow.rest();
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
    let mut kept = web.connect();
    kept.send("GET", "/healthz", &[], b"");
    assert_eq!(kept.answer("GET").status, 200);
    assert_eq!(kept.rest(), b"", "a connection that is kept for the next request is not kept for ever");
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let limits = Limits { answer_wait: Duration::from_millis(200), ..Limits::default() };
    let web = Web::with(Some(TOKEN), limits);
    let mut slow = web.connect();
    slow.write(
        format!(
            "PUT / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 100\r\n\r\nhalf"
        )
        .as_bytes(),
    );
    assert_eq!(slow.head().status, 504);
}

#[test]
fn a_client_that_takes_nothing_loses_its_connection_and_frees_its_place() {
    let limits = Limits { write_wait: Duration::from_millis(200), requests_max: 1, ..Limits::default() };
    let web = Web::with(None, limits);
    // More than the buffers of both sockets hold.
    let content = data(64 * 1024 * 1024);
    let root = web.state.site(&content, "mime-type: text/plain");
    let mut lazy = web.connect();
    lazy.send("GET", &format!("/tree/{root}"), &[], b"");
    assert_eq!(lazy.head().status, 200);
    let small = web.state.put(&b"small"[..]);
    let busy = web.get(&format!("/cat/{small}"));
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    assert_eq!(web.get("/healthz").status, 200, "those who look what is wrong are always answered");
    while web.get(&format!("/cat/{small}")).status == 503 {
        std::thread::yield_now();
    }
    assert!(lazy.rest().len() < content.len(), "it was cut off");
    let read = web.state.read.lock().unwrap().len();
    assert!(read < 200, "{read} blocks of 256 were read for a client that took none");
}

#[test]
fn connections_over_the_limit_are_closed_and_counted() {
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let web = Web::with(None, limits);
    let mut first = web.connect();
    first.send("GET", "/healthz", &[], b"");
    assert_eq!(first.answer("GET").status, 200);
    assert_eq!(web.connect().rest(), b"");
    first.send("GET", "/metrics", &[], b"");
    let metrics = first.answer("GET");
    assert!(metrics.text().contains("\nhbs2_http_connections_refused_total 1\n"), "{}", metrics.text());
}

#[test]
fn heads_have_a_limit() {
    let web = Web::start();
    let mut connection = web.connect();
    let long = "x".repeat(100_000);
    connection.send("GET", "/healthz", &[("x-long", &long)], b"");
    assert_eq!(connection.head().status, 431);
    let mut connection = web.connect();
    let many: Vec<_> = (0..200).map(|at| (format!("x-{at}"), "y")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    connection.send("GET", "/healthz", &many, b"");
    assert_eq!(connection.head().status, 431);
}

#[test]
fn a_server_that_stops_lets_go_of_its_port_at_once() {
    let web = Web::start();
    let address = web.address;
    let mut kept = web.connect();
    kept.send("GET", "/healthz", &[], b"");
    assert_eq!(kept.answer("GET").status, 200);
    let begin = std::time::Instant::now();
    drop(web);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(std::net::TcpListener::bind(address).is_ok());
    assert_eq!(kept.rest(), b"");
}
