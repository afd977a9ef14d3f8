//! The words of HBS2 in `hbs2-cli`, with a running peer; outputs of the original are compared.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use std::os::unix::fs::PermissionsExt;

use hbs2_testkit::{Daemon, Home, vectors};
use kit::home;

/// What `hbs2-cli` prints for this program.
fn cli(home: &Home, program: &str) -> String {
    String::from_utf8(home.call("hbs2-cli").arg(program).ok().unwrap().stdout).unwrap()
}

fn complaint(home: &Home, program: &str) -> String {
    let done = home.call("hbs2-cli").arg(program).fails().unwrap();
    assert_eq!(done.text(), "", "{program}");
    done.talk()
}

/// Puts a key file of the vectors where hbs2-keyman finds it.
fn keep(home: &Home, vector: &str, name: &str) {
    let dir = home.join(".hbs2-keyman/keys");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join(name), vectors::bytes(vector).unwrap()).unwrap();
    std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    home.line("hbs2-keyman update").ok().unwrap();
}

/// Puts the blocks of a folder of the vectors into the store.
fn put_blocks(home: &Home, folder: &str) {
    let program = format!(
        "iterate (fn1 (hbs2:peer:storage:block:put (bytes:file _1))) (glob \"{}\" \"*\")",
        vectors::path(folder).display()
    );
    assert_eq!(cli(home, &program), "");
}

#[test]
fn the_peer_is_found_and_says_what_it_is() {
    let home = home("alice");
    assert_eq!(cli(&home, "hbs2:peer:detect"), "");
    assert!(complaint(&home, "hbs2:peer:poke").contains("hint: "));
    let _daemon = Daemon::start(&home, &[]).unwrap();
    assert_eq!(cli(&home, "hbs2:peer:detect"), home.join("run/hbs2-rpc.socket").display().to_string());
    let poke = home.line("hbs2-peer poke").ok().unwrap().text();
    let told: Vec<_> = cli(&home, "hbs2:peer:poke").lines().map(str::to_owned).collect();
    let expected: Vec<_> = poke.lines().map(|line| format!("({line})")).collect();
    let trimmed: Vec<_> = told.iter().map(|line| line.trim().trim_start_matches("((").to_owned()).collect();
    assert_eq!(told.len(), expected.len(), "{trimmed:?}");
    assert!(told[0].starts_with("((peer-key: \""), "{told:?}");
}

#[test]
fn keys_and_group_keys_follow_the_examples_of_the_manual() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let file = cli(&home, "[hbs2:keyman:keys:add [hbs2:keyring:new 1]]");
    assert!(file.starts_with(&format!("{}/.hbs2-keyman/keys/", home.path().display())), "{file}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let shown = cli(&home, &format!("hbs2:keyring:show {file}"));
    assert!(shown.starts_with("sign-key:  ") && !shown.ends_with('\n'), "{shown}");
    let list = cli(&home, "hbs2:keyman:list");
    assert_eq!(list.trim_end(), home.line("hbs2-keyman list").ok().unwrap().text());
    assert_eq!(cli(&home, "hbs2:keyman:update"), "");
    assert_eq!(cli(&home, "hbs2:keyman:config"), "(dict)");

    let key = shown.lines().nth(1).unwrap().strip_prefix("pub-key:   ").unwrap().to_owned();
    assert_eq!(
        cli(&home, &format!("hbs2:keyring:list-encryption [str:file {file}]")),
        format!("(\"{key}\")")
    );
    assert_eq!(
        cli(&home, &format!("hbs2:keyring:list-encryption '(file \"{file}\")")),
        format!("(\"{key}\")")
    );
    let other = "2Uxj6mCa12YpKV5LUaSYBQBgKMs13TfuTbo7b1eSPcF6";
    let hash = cli(&home, &format!("[hbs2:groupkey:store [hbs2:groupkey:create [list {key} {other}]]]"));
    let dump = cli(&home, &format!("hbs2:groupkey:dump {hash}"));
    let lines: Vec<_> = dump.lines().collect();
    assert_eq!(lines[0], "; fancy group key");
    assert_eq!(lines[2], "group-key-id-scheme basic1");
    let id = lines[1].strip_prefix("group-key-id ").unwrap();
    assert_eq!(cli(&home, &format!("hbs2:groupkey:find-secret {hash}")), id);
    let members = cli(&home, &format!("length [hbs2:groupkey:list-public-keys [hbs2:groupkey:load {hash}]]"));
    assert_eq!(members, "2");

    let changed = format!(
        "hbs2:groupkey:list-public-keys [hbs2:groupkey:update [hbs2:groupkey:load {hash}] [list [remove . {other}]]]"
    );
    assert_eq!(cli(&home, &changed), format!("(\"{key}\")"));
    let sealed = format!(
        "bytes:decode [hbs2:groupkey:decrypt-block [hbs2:groupkey:encrypt-block {hash} \"a secret\"]]"
    );
    assert_eq!(cli(&home, &sealed), "a secret");
    let absent = complaint(&home, "hbs2:groupkey:dump Dn9xPBUXJFekp781C1MnMWkiXGJ3aB3H5Cca37nUWBSp");
    assert!(absent.contains("missed block: Dn9xPBUXJFekp781C1MnMWkiXGJ3aB3H5Cca37nUWBSp\n"), "{absent}");
}

#[test]
fn trees_with_metadata_have_the_hashes_of_the_original() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    std::fs::write(home.join("sample.txt"), "some plain text\n").unwrap();
    let vectors = vectors::json("tree/metadata.json").unwrap();
    let mut compared = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let command = vector["command"].as_str().unwrap();
        // The original loses values that are numbers.
        if command.contains("x 1") {
            continue;
        }
        let root = vector["root"].as_str().unwrap();
        let command = command.replace("FILE", "sample.txt");
        assert_eq!(cli(&home, &command), root, "{command}");
        let get = format!("hbs2:tree:metadata:get {root}");
        assert_eq!(cli(&home, &get), vector["metadata_get_stdout"].as_str().unwrap(), "{command}");
        let read = format!("bytes:put [hbs2:tree:read {root}]");
        assert_eq!(cli(&home, &read), vector["input"].as_str().unwrap(), "{command}");
        assert_eq!(cli(&home, &format!("hbs2:tree:metadata:get-gk {root}")), "");
        compared += 1;
    }
    assert_eq!(compared, 4);
    assert_eq!(cli(&home, "hbs2:tree:metadata:get [hbs2:tree:metadata:string [kw x 1] a]"), "((x: \"1\"))");
    let opaque = cli(&home, "hbs2:tree:read HUfqd7yQ63VA9k2iNfiBgkbkZDE47XeZDrJBGWjb2HVG");
    assert_eq!(opaque, "#opaque:ByteString:1");
}

#[test]
fn sealed_trees_of_the_original_are_read_and_given_to_other_members() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    keep(&home, "sealed/cli/reader.key", "reader.key");
    let manifest = vectors::json("sealed/cli/manifest.json").unwrap();
    let all = manifest["vectors"].as_array().unwrap();
    for vector in all.iter().filter(|vector| vector["encrypted"] == true && vector["cat_rc"] == 0) {
        let root = vector["root"].as_str().unwrap();
        put_blocks(&home, &format!("sealed/cli/{}", vector["blocks_dir"].as_str().unwrap()));
        let get = cli(&home, &format!("hbs2:tree:metadata:get {root}"));
        assert_eq!(get, vector["metadata_get_stdout"].as_str().unwrap());
        let read = home.call("hbs2-cli").arg(format!("hbs2:tree:read:stdout {root}")).ok().unwrap();
        assert_eq!(read.stdout, vectors::hex(&vector["cat_stdout_hex"]).unwrap());
    }
    let (root, gk) =
        ("E3VZjFSEgcmjbTqzUKJmmtpV8gfb91Xv1dYKnfaTrzDh", "8pPWk33tK8hFyKCAeq2fxThncyqDX8RfiwH58e7jF2Vn");
    assert_eq!(cli(&home, &format!("hbs2:tree:metadata:get-gk {root}")), gk);
    let other = "A5sfUPpUTCN5ETJKvvb94dG6tHSWeJZ53KV4hrGz6H9Y";
    let new = cli(&home, &format!("hbs2:tree:metadata:update-gk {root} [list [add . {other}]]"));
    assert_ne!(new, root);
    assert_eq!(cli(&home, &format!("bytes:put [hbs2:tree:read {new}]")), "secret text two");
    let members = |tree: &str| {
        let gk = format!("[hbs2:groupkey:load [hbs2:tree:metadata:get-gk {tree}]]");
        cli(&home, &format!("length [hbs2:groupkey:list-public-keys {gk}]")).parse::<u32>().unwrap()
    };
    assert_eq!(members(&new), members(root) + 1);

    let own = cli(&home, &format!("hbs2:tree:metadata:string [kw gk {gk} file-name b.txt] \"secret\""));
    assert_eq!(cli(&home, &format!("bytes:put [hbs2:tree:read {own}]")), "secret");
    assert_eq!(cli(&home, &format!("hbs2:tree:metadata:get {own}")), "((file-name: \"b.txt\"))");

    let blocks = vectors::json("sealed/block/manifest.json").unwrap();
    for block in blocks["vectors"].as_array().unwrap() {
        let file = vectors::path(&format!("sealed/block/{}", block["file"].as_str().unwrap()));
        let program = format!("bytes:put [hbs2:groupkey:decrypt-block [bytes:file \"{}\"]]", file.display());
        let opened = home.call("hbs2-cli").arg(program).ok().unwrap().stdout;
        assert_eq!(opened, vectors::hex(&block["input_hex"]).unwrap());
    }
}

#[test]
fn a_stranger_is_told_that_he_has_no_access() {
    let home = home("eve");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    put_blocks(&home, "sealed/cli/v5/blocks");
    let said = complaint(&home, "hbs2:tree:read E3VZjFSEgcmjbTqzUKJmmtpV8gfb91Xv1dYKnfaTrzDh");
    assert!(said.contains("no access to group key 8pPWk33tK8hFyKCAeq2fxThncyqDX8RfiwH58e7jF2Vn\n"), "{said}");
    assert!(said.contains("hint: "), "{said}");
}

#[test]
fn references_in_crafted_blocks_are_those_the_original_finds() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let detection = vectors::json("inspect/detection.json").unwrap();
    let put = |hex: &serde_json::Value| {
        let path = home.join("block");
        std::fs::write(path, vectors::hex(hex).unwrap()).unwrap();
        cli(&home, "hbs2:peer:storage:block:put (bytes:file block)")
    };
    put(&detection["leafA"]["hex"]);
    put(&detection["leafB"]["hex"]);
    let (a, b) = (detection["leafA"]["hash"].as_str().unwrap(), detection["leafB"]["hash"].as_str().unwrap());
    assert_eq!(detection["inner_leaf"], cli(&home, &format!("hbs2:grove {a} {b}")).as_str());
    let vectors = detection["vectors"].as_array().unwrap();
    let hashes: Vec<_> = vectors.iter().map(|vector| put(&vector["block_hex"])).collect();
    for (vector, hash) in vectors.iter().zip(hashes) {
        let name = vector["name"].as_str().unwrap();
        assert_eq!(vector["hash"], hash.as_str(), "{name}");
        // We read no hash that is not 32 bytes long.
        if name == "leaf with the short hash" {
            continue;
        }
        let refs = cli(&home, &format!("hbs2:tree:refs {hash}"));
        assert_eq!(vector["tree_refs_stdout"], refs.as_str(), "{name}");
        let missed = cli(&home, &format!("hbs2:tree:missed {hash}"));
        // The original names a missing child twice.
        if name == "node with a missing child" {
            assert_eq!(missed, "(\"97GUB8tDxneBjs1uLr9Fv3cYJ4F9pdPQ3xyjzcNteyhq\")");
        } else {
            assert_eq!(vector["tree_missed_stdout"], missed.as_str(), "{name}");
        }
    }
}

#[test]
fn blocks_and_groves_are_stored_and_listed() {
    let home = home("alice");
    let daemon = Daemon::start(&home, &[]).unwrap();
    let hash = cli(&home, "hbs2:peer:storage:block:put hello");
    assert_eq!(hash, "4PNCZERNLKAqwSYHhZpb7B4GE34eiYDPXGgeNKWNNaBp");
    assert_eq!(cli(&home, &format!("bytes:decode [hbs2:peer:storage:block:get {hash}]")), "hello");
    assert_eq!(cli(&home, &format!("hbs2:peer:storage:block:size {hash}")), "5");
    let grove = cli(&home, &format!("hbs2:grove {hash}"));
    assert_eq!(home.line(&format!("hbs2 cat -H {grove}")).ok().unwrap().text(), hash);
    let named = cli(&home, &format!("hbs2:grove:annotated '((web:root \"index.html\")) '({hash} {hash})"));
    assert_eq!(home.line(&format!("hbs2 cat -H {named}")).ok().unwrap().text(), format!("{hash}\n{hash}"));
    assert_eq!(cli(&home, &format!("hbs2:tree:scan {grove}")), format!("(\"{grove}\"\n \"{hash}\")"));
    cli(&home, &format!("hbs2:peer:storage:block:del {hash}"));
    assert_eq!(cli(&home, &format!("hbs2:peer:storage:block:size {hash}")), "no-block");
    assert_eq!(cli(&home, &format!("hbs2:tree:missed {grove}")), format!("(\"{hash}\")"));
    drop(daemon);
    // Without a peer the storage itself is opened.
    assert_eq!(cli(&home, &format!("hbs2:tree:missed {grove}")), format!("(\"{hash}\")"));
}

#[test]
fn an_lwwref_is_made_set_and_read() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let made = cli(&home, "hbs2:lwwref:create");
    let key = made.strip_prefix("(pk \"").and_then(|rest| rest.strip_suffix("\")")).unwrap();
    assert!(home.join(format!(".hbs2-keyman/keys/{key}-lwwref.key")).exists());
    assert_eq!(cli(&home, "hbs2:lwwref:list"), format!("(\"{key}\")"));
    assert_eq!(home.line("hbs2-peer poll list").ok().unwrap().text(), format!("{key:<44} 31  lwwref"));
    assert_eq!(cli(&home, &format!("hbs2:lwwref:get {key}")), "");
    let hash = "HBmXAqw8TTnWdRWrNYS3qeSpYk3qth2eYRHWAYiyjH1C";
    for seq in 1..3 {
        assert_eq!(cli(&home, &format!("hbs2:lwwref:update {key} {hash}")), "");
        let shape = format!("(lwwref\n  (seq {seq})\n  (value \"{hash}\")\n  )");
        assert_eq!(cli(&home, &format!("hbs2:lwwref:get {key}")), shape);
    }
    assert_eq!(cli(&home, &format!("hbs2:lwwref:fetch {key}")), "okay");
    let foreign = "Dn9xPBUXJFekp781C1MnMWkiXGJ3aB3H5Cca37nUWBSp";
    assert!(
        complaint(&home, &format!("hbs2:lwwref:update {foreign} {hash}")).contains("no secret key is known")
    );
}

#[test]
fn a_reflog_is_made_extended_listed_and_copied() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let key = cli(&home, "hbs2:reflog:create");
    assert_eq!(cli(&home, "hbs2:reflog:list"), format!("(\"{key}\")"));
    assert_eq!(cli(&home, &format!("hbs2:reflog:get {key}")), "");
    assert_eq!(cli(&home, &format!("hbs2:reflog:fetch {key}")), "okay");
    let hash = "HBmXAqw8TTnWdRWrNYS3qeSpYk3qth2eYRHWAYiyjH1C";
    cli(&home, &format!("hbs2:reflog:tx:post [hbs2:reflog:tx:raw:create \"some data\" {key}]"));
    let seqref = format!("hbs2:reflog:tx:seqref:create {key} 7 {hash}");
    assert_eq!(
        cli(&home, &format!("hbs2:reflog:tx:seqref:decode [{seqref}]")),
        format!("(seqref 7 \"{hash}\")")
    );
    let root = cli(&home, &format!("hbs2:reflog:get {key}"));
    assert_eq!(home.line(&format!("hbs2-peer reflog get {key}")).ok().unwrap().text(), root);
    assert_eq!(cli(&home, &format!("hbs2:reflog:tx:list bytes:decode {key}")), "(\"some data\")");
    let other = cli(&home, "hbs2:reflog:create");
    cli(&home, &format!("hbs2:reflog:tx:copy:all {key} {other}"));
    assert_eq!(cli(&home, &format!("hbs2:reflog:tx:list bytes:decode {other}")), "(\"some data\")");
    let ann = format!("length [hbs2:reflog:tx:decode [hbs2:reflog:tx:annhashref:create {key} {hash}]]");
    assert_eq!(cli(&home, &ann), "41");
    assert!(complaint(&home, "hbs2:reflog:tx:post junk").contains("are not a signed entry of a log"));
}

#[test]
fn sigils_are_made_parsed_stored_and_loaded() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let golden = vectors::path("sigil/golden.txt");
    let parsed = cli(&home, &format!("hbs2:sigil:parse [str:file \"{}\"]", golden.display()));
    let (sign, encrypt) =
        ("ExTZuEy2qVBRshWdSwfxeKcMmQLbK2f5NxRwhvXda9qd", "5UXrEhYECJ2kEQZZPEf4TisfWsLNdh2nGYQQz8X9ioMv");
    assert_eq!(parsed, format!("(sigil\n (sign-pubkey \"{sign}\")\n (encrypt-pubkey \"{encrypt}\"))"));
    let hash = cli(&home, &format!("hbs2:sigil:store:file \"{}\"", golden.display()));
    assert_eq!(cli(&home, &format!("hbs2:sigil:sign-pubkey [hbs2:sigil:load:base58 {hash}]")), sign);
    let form = format!("hbs2:sigil:encrypt-pubkey [hbs2:sigil:parse [hbs2:sigil:load:base58 {hash}]]");
    assert_eq!(cli(&home, &form), encrypt);

    let file = cli(&home, "[hbs2:keyman:keys:add [hbs2:keyring:new 2]]");
    let keys: Vec<_> = cli(&home, &format!("unlines [hbs2:keyring:list-encryption [str:file {file}]]"))
        .lines()
        .map(str::to_owned)
        .collect();
    for (which, key) in [("", &keys[0]), ("2", &keys[1]), (&keys[1][..8], &keys[1])] {
        let program = format!("hbs2:sigil:encrypt-pubkey [hbs2:sigil:create:from-keyring {file} {which}]");
        assert_eq!(cli(&home, &program), **key);
    }
    assert!(
        complaint(&home, &format!("hbs2:sigil:create:from-keyring {file} 3")).contains("no encryption key 3")
    );
}
