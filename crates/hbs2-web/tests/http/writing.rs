//! The two requests that change something.

use bytes::Bytes;
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Encode, Hash};

use crate::kit::{TOKEN, Web, data, key};

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

fn entry() -> Vec<u8> {
    ReflogUpdate::sign(&key(1), [7; 24], Bytes::from_static(b"news")).to_bytes()
}

#[test]
fn writing_is_off_unless_a_token_is_configured() {
    let web = Web::start();
    for (method, path) in [("PUT", "/"), ("POST", "/reflog")] {
        let answer = web.request(method, path, &[("authorization", &bearer())], b"block");
        assert!(answer.status == 403 && answer.text().contains("http-token-file"), "{answer:?}");
    }
    assert_eq!(web.get(&format!("/size/{}", Hash::of(b"block"))).status, 404);
}

#[test]
fn writing_wants_the_token() {
    let web = Web::writable();
    let short = &bearer()[..20];
    let long = format!("{}x", bearer());
    for headers in [
        &[][..],
        &[("authorization", short)],
        &[("authorization", &long)],
        &[("authorization", "Basic eDp5")],
    ] {
        for (method, path) in [("PUT", "/"), ("POST", "/reflog")] {
            let answer = web.request(method, path, headers, b"block");
            assert_eq!(
                (answer.status, answer.header("www-authenticate")),
                (401, Some("Bearer")),
                "{headers:?}"
            );
        }
    }
    assert_eq!(web.get(&format!("/size/{}", Hash::of(b"block"))).status, 404);
}

#[test]
fn a_block_is_stored_and_its_hash_told() {
    let web = Web::writable();
    let block = data(4 * 1024 * 1024);
    let answer = web.request("PUT", "/", &[("authorization", &bearer())], &block);
    assert_eq!((answer.status, answer.text()), (200, Hash::of(&block).to_string().as_str()));
    assert_eq!(web.get(&format!("/cat/{}", Hash::of(&block))).body, block);
}

#[test]
fn a_body_over_four_mebibytes_is_refused_before_and_while_it_is_read() {
    let web = Web::writable();
    let large = data(4 * 1024 * 1024 + 1);
    let answer = web.request("PUT", "/", &[("authorization", &bearer())], &large);
    assert_eq!(answer.status, 413);
    let mut connection = web.connect();
    connection.write(
        format!(
            "PUT / HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ntransfer-encoding: chunked\r\n\r\n",
            bearer()
        )
        .as_bytes(),
    );
    connection.write(format!("{:x}\r\n", large.len()).as_bytes());
    connection.write(&large);
    connection.write(b"\r\n0\r\n\r\n");
    assert_eq!(connection.head().status, 413);
}

#[test]
fn a_reflog_entry_is_checked_and_posted() {
    let web = Web::writable();
    let headers = [("authorization", bearer())];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = web.request("POST", "/reflog", &headers, &entry());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(web.state.posted.lock().unwrap().len(), 1);
    let answer = web.request("POST", "/reflog", &headers, b"nonsense");
    assert!(answer.status == 400 && answer.text().contains("no reflog entry"), "{answer:?}");
    let mut forged = entry();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let answer = web.request("POST", "/reflog", &headers, &forged);
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(web.state.posted.lock().unwrap().len(), 1);
}

#[test]
fn a_new_token_holds_at_once_and_a_lost_one_closes_the_door() {
    let web = Web::writable();
    let put =
        |token: &str| web.request("PUT", "/", &[("authorization", &format!("Bearer {token}"))], b"x").status;
    assert_eq!(put(TOKEN), 200);
    std::fs::write(web.token_file(), "another-token-of-these").unwrap();
    assert_eq!((put(TOKEN), put("another-token-of-these")), (401, 200));
    std::fs::write(web.token_file(), "short").unwrap();
    assert_eq!(put("short"), 403);
    std::fs::remove_file(web.token_file()).unwrap();
    assert_eq!(put(TOKEN), 403);
}
