//! Attacks by connections: many of them, and frames that never end.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::eve::{Eve, connect};
use crate::victim::Victim;

#[test]
fn one_address_gets_its_share_of_connections() {
    let mut victim = Victim::start("limit-peers-per-address 8\n");
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut refused = 0;
    for number in 0..200_u32 {
        let mut stream = TcpStream::connect(victim.address).unwrap();
        // A refused connection is closed at any of these steps.
        let _ = stream.write_all(&number.to_be_bytes());
        match stream.read_exact(&mut [0; 4]) {
            Ok(()) => streams.push(stream),
            Err(_) => refused += 1,
        }
    }
    println!("{} connections taken, {refused} refused", streams.len());
    assert_eq!(streams.len(), 8);
    victim.hold("two hundred connections", 0);
    drop(streams);
    victim.until("their places are free again", |victim| {
        let mut stream = TcpStream::connect(victim.address).unwrap();
        let _ = stream.write_all(b"free");
        stream.read_exact(&mut [0; 4]).is_ok()
    });
}

#[test]
fn frames_that_never_end_take_their_share_of_memory_only() {
    let mut victim = Victim::start("");
    let bytes = 1024 * 1024_u32;
    let frame = [&b"tag!"[..], &bytes.to_be_bytes(), &vec![0; bytes as usize - 1]].concat();
    let streams: Vec<TcpStream> = (0..24_u8)
        .map(|number| {
            let mut stream = connect(victim.address, [0xfe, 0xfe, 0xfe, number]);
            // Those beyond the share are cut off in the middle.
            let _ = stream.write_all(&frame);
            stream
        })
        .collect();
    victim.hold("24 frames of a mebibyte that lack a byte", 0);
    drop(streams);
    assert!(!Eve::meet(&victim, 66).is_gone());
}
