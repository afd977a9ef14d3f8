//! Peers on hosts of their own: a bridge, a partition, a power cut, and NAT. Skipped, with the reason, where there can be
//! no network namespaces.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use hbs2_testkit::lab::{Host, Lab};
use hbs2_testkit::{Daemon, Home, KitError, noise, until};

type Outcome = Result<(), KitError>;

/// Somebody on a host.
struct Resident {
    peer: Daemon,
    home: Home,
    host: Host,
}

impl Resident {
    fn new(name: &str, host: Host, known: &[&Host], extra: &str) -> Result<Self, KitError> {
        let home = Home::new(name, Path::new(env!("CARGO_BIN_EXE_hbs2")))?;
        let known: Vec<_> = known.iter().map(|host| host.address()).collect();
        Ok(Self { peer: Daemon::start_inside(&home, &host, &known, extra)?, home, host })
    }

    fn said(&self, line: &str) -> Result<String, KitError> {
        Ok(self.home.line(line).ok()?.text())
    }

    /// Waits until at least so many peers are linked.
    fn wait_peers(&self, count: usize) -> Outcome {
        let what = format!("{} has {count} peers", self.home.name());
        until(&what, || Ok(self.said("hbs2-peer peers")?.lines().count() >= count)).map(drop)
    }

    fn received_bytes(&self) -> Result<u64, KitError> {
        self.host.received_bytes(self.peer.pid())
    }

    fn fetch(&self, root: &str) -> Outcome {
        let call = self.home.line(&format!("hbs2-peer fetch -p {root}"));
        call.deadline(Duration::from_secs(180)).ok().map(drop)
    }
}

#[test]
fn three_hosts_find_each_other_and_agree_after_a_partition() -> Outcome {
    let Some(mut lab) = Lab::new()? else { return Ok(()) };
    let mut people = Vec::new();
    for name in ["alice", "bob", "carol"] {
        people.push(Resident::new(name, lab.host(name)?, &[], "")?);
    }
    for person in &people {
        person.wait_peers(2)?;
    }
    let [alice, bob, carol] = &people[..] else { unreachable!("three were made") };
    let key = new_key(&alice.home)?;
    for person in &people {
        person.said(&format!("hbs2-peer poll add {key} reflog 1"))?;
    }
    lab.part(&carol.host)?;
    alice.home.line(&format!("hbs2-peer reflog send {key}")).stdin("while carol is away").ok()?;
    let value = format!("hbs2-peer reflog get {key}");
    let root = alice.said(&value)?;
    until("bob has the update", || Ok(bob.said(&value)? == root))?;
    assert_ne!(carol.said(&value).unwrap_or_default(), root, "nothing reaches carol");
    lab.heal(&carol.host)?;
    until("carol has the update", || Ok(carol.home.line(&value).run()?.text() == root))?;
    assert_eq!(carol.said(&format!("hbs2-peer reflog cat {key}"))?, "while carol is away");
    Ok(())
}

/// Makes a key that hbs2-keyman knows; returns its public half.
fn new_key(home: &Home) -> Result<String, KitError> {
    let file = home.join(".hbs2-keyman/keys/new.key");
    std::fs::create_dir_all(file.parent().expect("it has one"))
        .map_err(KitError::io("cannot make", &file))?;
    std::fs::write(&file, home.line("hbs2 keyring-new").ok()?.text())
        .map_err(KitError::io("cannot write", &file))?;
    Ok(home.line("hbs2-keyman list").ok()?.text().split(' ').next().expect("one key").to_owned())
}

#[test]
fn a_peer_killed_at_half_of_a_transfer_goes_on_where_it_was() -> Outcome {
    const BYTES: usize = 100_000_000;
    const BYTES_PER_SECOND: u64 = 25_000_000;
    /// What more may come than without the power cut: one in twenty.
    const EXTRA_PART: u64 = 20;
    let Some(mut lab) = Lab::new()? else { return Ok(()) };
    let quiet = "multicast off\n";
    let alice = Resident::new("alice", lab.host("alice")?, &[], quiet)?;
    let root = alice.home.line("hbs2 store").stdin(noise(1, BYTES)).ok()?.text();

    let carol = Resident::new("carol", lab.host("carol")?, &[&alice.host], quiet)?;
    carol.host.limit(BYTES_PER_SECOND)?;
    carol.fetch(&root)?;
    let whole = carol.received_bytes()?;
    assert!(whole > BYTES as u64, "{whole}");
    drop(carol);

    let mut bob = Resident::new("bob", lab.host("bob")?, &[&alice.host], quiet)?;
    bob.host.limit(BYTES_PER_SECOND)?;
    bob.home.line(&format!("hbs2-peer fetch {root}")).ok()?;
    let began = Instant::now();
    while bob.received_bytes()? < whole / 2 {
        assert!(began.elapsed() < Duration::from_secs(120), "{} bytes came", bob.received_bytes()?);
        thread::sleep(Duration::from_millis(2));
    }
    let before = bob.received_bytes()?;
    assert!(before < whole * 3 / 4, "killed at half, and not at {before} of {whole} bytes");
    bob.peer.kill();
    bob.peer.restart()?;
    bob.fetch(&root)?;
    let total = bob.received_bytes()?;
    eprintln!("{whole} bytes in one go; with a power cut at {before} bytes, {total}");
    assert!(total <= whole + whole / EXTRA_PART, "{total} bytes for {whole}");
    assert!(bob.home.line(&format!("hbs2 cat {root}")).ok()?.stdout == noise(1, BYTES));
    Ok(())
}

#[test]
fn a_peer_behind_nat_gives_and_takes_and_its_address_is_not_told() -> Outcome {
    let Some(mut lab) = Lab::new()? else { return Ok(()) };
    let quiet = "multicast off\n";
    let alice = Resident::new("alice", lab.host("alice")?, &[], quiet)?;
    let udp = format!("{quiet}known-peer \"udp://{}\"\n", alice.host.address());
    let carol = Resident::new("carol", lab.host("carol")?, &[&alice.host], &udp)?;
    let bob = Resident::new("bob", lab.hidden_host("bob")?, &[&alice.host], &udp)?;
    bob.wait_peers(1)?;
    alice.wait_peers(2)?;
    for (holder, reader, seed) in [(&alice, &bob, 1), (&bob, &alice, 2)] {
        let data = noise(seed, 3_000_000);
        let root = holder.home.line("hbs2 store").stdin(data.clone()).ok()?.text();
        reader.fetch(&root)?;
        assert!(reader.home.line(&format!("hbs2 cat {root}")).ok()?.stdout == data);
    }
    // What carol can know of bob is what alice tells: neither the inner address nor a port of the router.
    let router = "10.77.0.3:";
    for teller in [&alice, &carol] {
        let told = teller.said("hbs2-peer pexinfo")?;
        assert!(!told.contains("192.168.77.") && !told.contains(router), "{told}");
    }
    Ok(())
}
