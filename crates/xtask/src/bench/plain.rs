//! The plain tools beside which we are measured, and the data they are given.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hbs2_testkit::Random;

/// Bytes of one read and write: what `cp` and most file servers take.
const PIECE_BYTES: usize = 256 * 1024;

/// Writes a file that does not compress and differs from that of every other seed.
pub(crate) fn make_file(path: &Path, bytes: u64, seed: u64) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut out = BufWriter::with_capacity(PIECE_BYTES, file);
    let mut noise = Random::new(seed);
    let mut left = bytes;
    while left > 0 {
        let word = noise.number().to_le_bytes();
        let n = left.min(8) as usize;
        out.write_all(&word[..n]).context("cannot write noise")?;
        left -= n as u64;
    }
    out.into_inner().map_err(|e| e.into_error())?.sync_all().context("cannot write noise")
}

/// Copies a file and waits until the copy is on stable storage.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<Duration> {
    let began = Instant::now();
    pour(&mut File::open(from)?, &mut File::create(to)?)?;
    File::open(to)?.sync_all()?;
    Ok(began.elapsed())
}

/// Reads a file to its end.
pub(crate) fn read(from: &Path) -> Result<Duration> {
    let began = Instant::now();
    pour(&mut File::open(from)?, &mut io::sink())?;
    Ok(began.elapsed())
}

/// Sends a file over a plain TCP connection on loopback to a receiver that writes it to stable storage.
pub(crate) fn copy_over_tcp(from: &Path, to: &Path) -> Result<Duration> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let mut file = File::open(from)?;
    let began = Instant::now();
    let sender = thread::spawn(move || -> Result<u64> { pour(&mut file, &mut TcpStream::connect(address)?) });
    let (mut stream, _) = listener.accept()?;
    let mut target = File::create(to)?;
    let received = pour(&mut stream, &mut target)?;
    target.sync_all()?;
    let took = began.elapsed();
    let sent = sender.join().expect("sending a file does not panic")?;
    ensure!(sent == received, "{sent} bytes were sent and {received} received");
    Ok(took)
}

/// `io::copy` would let the kernel move the bytes without touching them; no peer can do that, it has to hash them.
fn pour(from: &mut impl Read, to: &mut impl Write) -> Result<u64> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let n = from.read(&mut piece)?;
        if n == 0 {
            return Ok(bytes);
        }
        to.write_all(&piece[..n])?;
        bytes += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn copies_are_equal_to_the_noise_and_seeds_differ() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        make_file(&path("a"), 1_000_001, 1).unwrap();
        make_file(&path("b"), 1_000_001, 2).unwrap();
        copy(&path("a"), &path("c")).unwrap();
        copy_over_tcp(&path("a"), &path("d")).unwrap();
        let bytes = ["a", "b", "c", "d"].map(|name| fs::read(path(name)).unwrap());
        assert_eq!(bytes[0].len(), 1_000_001);
        assert!(bytes[0] == bytes[2] && bytes[0] == bytes[3] && bytes[0] != bytes[1]);
    }
}
