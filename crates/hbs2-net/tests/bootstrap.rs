//! Bootstrap domains, asked of a name server of our own.

#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::net::SocketAddr;

use hbs2_net::bootstrap::{LookupError, lookup};
use tokio::net::UdpSocket;

/// Bytes of the head of a message.
const HEAD_BYTES: usize = 12;

/// A server that answers every question with TXT records of these texts, or that there is no such name.
async fn server(texts: Option<&'static [&'static str]>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        loop {
            let (bytes, from) = socket.recv_from(&mut question).await.unwrap();
            socket.send_to(&answer(&question[..bytes], texts), from).await.unwrap();
        }
    });
    address
}

fn answer(question: &[u8], texts: Option<&[&str]>) -> Vec<u8> {
    let name_bytes = question[HEAD_BYTES..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let asked = &question[HEAD_BYTES..HEAD_BYTES + name_bytes + 4];
    let count = texts.map_or(0, <[_]>::len) as u8;
    let code = if texts.is_some() { 0x80 } else { 0x83 };
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(asked);
    for text in texts.into_iter().flatten() {
        let length = text.len() as u8;
        // The name of the question, TXT, IN, a minute.
        answer.extend([0xc0, HEAD_BYTES as u8, 0, 16, 0, 1, 0, 0, 0, 60, 0, length + 1, length]);
        answer.extend(text.as_bytes());
    }
    answer
}

#[tokio::test]
async fn a_domain_lists_addresses_and_what_is_none_is_left_out() {
    let texts = &["tcp://192.0.2.1:10351", "v=spf1 -all", "192.0.2.2:7351", "tcp://example.org:1"];
    let server = server(Some(texts)).await;
    let found = lookup("bootstrap.example", Some(server)).await.unwrap();
    let mut found: Vec<String> = found.iter().map(ToString::to_string).collect();
    found.sort();
    assert_eq!(found, ["192.0.2.2:7351", "tcp://192.0.2.1:10351"]);
}

#[tokio::test]
async fn a_domain_that_is_not_there_is_an_error_that_names_it() {
    let server = server(None).await;
    let error = lookup("nothing.example", Some(server)).await.unwrap_err();
    assert!(matches!(&error, LookupError::Answer { domain, .. } if domain == "nothing.example"), "{error}");
}
