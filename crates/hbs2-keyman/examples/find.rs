//! How long a program waits for a key: `cargo run --release -p hbs2-keyman --example find`. The figures of
//! `docs/spec/keyman.md` come from here.

use std::fs;
use std::time::Instant;

use hbs2_core::EncryptSecretKey;
use hbs2_core::groupkey::{GroupKey, GroupSecret};
use hbs2_core::keyring::Keyring;
use hbs2_keyman::{KeyIndex, Paths, Vanished};

const KEYRINGS: u16 = 1000;
const ROUNDS: u32 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = std::env::temp_dir().join(format!("hbs2-find-{}", std::process::id()));
    let dir = home.join(".hbs2-keyman/keys");
    fs::create_dir_all(&dir)?;
    let keyring = |i: u16| {
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&i.to_be_bytes());
        Keyring::new(&seed, &[seed])
    };
    for i in 0..KEYRINGS {
        fs::write(dir.join(format!("{i}.key")), keyring(i).to_text().as_bytes())?;
    }
    let paths = Paths::from_environment(|name| (name == "HOME").then(|| home.clone().into()))?;

    let started = Instant::now();
    KeyIndex::open(paths.clone())?.update(Vanished::Keep)?;
    println!("first update of {KEYRINGS} files   {:>7.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let started = Instant::now();
    KeyIndex::open(paths.clone())?.update(Vanished::Keep)?;
    println!("update without changes      {:>7.1} ms", started.elapsed().as_secs_f64() * 1e3);

    let public = keyring(KEYRINGS / 2).public();
    let started = Instant::now();
    for _ in 0..ROUNDS {
        assert!(KeyIndex::open(paths.clone())?.find_sign(&public)?.is_some());
    }
    println!(
        "open and find               {:>7.3} ms",
        started.elapsed().as_secs_f64() * 1e3 / f64::from(ROUNDS)
    );

    let members = [keyring(KEYRINGS / 2).encrypt[0].public()].into();
    let once = || EncryptSecretKey::from_bytes([7; 32]);
    let group = GroupKey::generate(&GroupSecret::from_bytes([5; 32]), &members, 0, once)?;
    let started = Instant::now();
    for _ in 0..ROUNDS {
        assert!(KeyIndex::open(paths.clone())?.open_group_key(&group)?.is_some());
    }
    println!(
        "open and open a group key   {:>7.3} ms",
        started.elapsed().as_secs_f64() * 1e3 / f64::from(ROUNDS)
    );
    fs::remove_dir_all(home)?;
    Ok(())
}
