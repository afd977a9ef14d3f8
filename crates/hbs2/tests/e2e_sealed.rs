//! Sealed data between peers: the recipe of the manual, and a stranger who carries it.

use std::fs;
use std::path::Path;

use hbs2_testkit::{KitError, Person};

type Outcome = Result<(), KitError>;

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hbs2"))
}

fn write(path: impl AsRef<Path>, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file in a temporary home can be written");
}

#[test]
fn the_recipe_of_the_manual_works_between_two_peers() -> Outcome {
    let [alice, bob] = Person::row(["alice", "bob"], binary())?;
    // Both make a keyring, Bob sends its listing to Alice.
    let mut keys = Vec::new();
    for person in [&alice, &bob] {
        write(person.home.join("kr"), &person.line("hbs2 keyring-new -n1").ok()?.stdout);
        keys.extend(person.line("hbs2 keyring-list kr").ok()?.stdout);
    }
    // Alice puts the lines into a file and makes a group key for both.
    write(alice.home.join("pubkeys"), &keys);
    write(alice.home.join("groupkey"), &alice.line("hbs2 groupkey-new pubkeys").ok()?.stdout);
    alice.line("hbs2-keyman add-mask ./kr").ok()?;
    let content: Vec<u8> = (0..700_000u32).flat_map(u32::to_be_bytes).collect();
    write(alice.home.join("file"), &content);
    let hash = alice.line("hbs2 store --groupkey groupkey file").ok()?.text();
    // Bob gets the hash, fetches and reads.
    bob.line("hbs2-peer fetch -p").arg(&hash).ok()?;
    assert!(bob.line("hbs2 cat --keyring kr").arg(&hash).ok()?.stdout == content, "the content differs");
    bob.line("hbs2 cat").arg(&hash).fails()?.says("no access to group key")?;
    Ok(())
}

#[test]
fn a_stranger_carries_sealed_data_to_a_member_while_the_owner_is_off() -> Outcome {
    let [mut alice, relay, carol] = Person::row(["alice", "relay", "carol"], binary())?;
    write(carol.home.join("kr"), &carol.line("hbs2 keyring-new -n1").ok()?.stdout);
    let member = carol.line("hbs2 keyring-list kr").ok()?.stdout;
    write(alice.home.join("kr"), &alice.line("hbs2 keyring-new -n1").ok()?.stdout);
    let own = alice.line("hbs2 keyring-list kr").ok()?.stdout;
    write(alice.home.join("gk"), &alice.line("hbs2 groupkey-new").stdin([member, own].concat()).ok()?.stdout);
    let content = "the plan that the relay must not know\n".repeat(20_000);
    let hash = alice.line("hbs2 store -g gk -k kr").stdin(content.clone()).ok()?.text();
    relay.line("hbs2-peer fetch -p").arg(&hash).ok()?;
    alice.peer.stop()?;
    relay.line("hbs2 cat").arg(&hash).fails()?.says("no access to group key")?;
    carol.line("hbs2-peer fetch -p").arg(&hash).ok()?;
    assert!(
        carol.line("hbs2 cat -k kr").arg(&hash).ok()?.stdout == content.as_bytes(),
        "the content differs"
    );
    assert!(!contains(relay.home.path(), b"the relay must not know"), "the relay holds plaintext");
    Ok(())
}

/// Whether a file under `dir` contains `text`.
fn contains(dir: &Path, text: &[u8]) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| !path.is_symlink()).any(|path| match path.is_dir() {
        true => contains(&path, text),
        false => fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|piece| piece == text)),
    })
}
