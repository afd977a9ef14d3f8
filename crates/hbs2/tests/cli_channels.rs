//! The words of `hbs2-cli` for refchans and mailboxes, with a running peer; outputs of the original are compared.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod kit;

use hbs2_testkit::{Daemon, Home, until, vectors};
use kit::{home, new_key, peer_key};

/// What `hbs2-cli` prints for this program.
fn cli(home: &Home, program: &str) -> String {
    String::from_utf8(home.call("hbs2-cli").arg(program).ok().unwrap().stdout).unwrap()
}

fn complaint(home: &Home, program: &str) -> String {
    home.call("hbs2-cli").arg(program).fails().unwrap().talk()
}

#[test]
fn a_channel_is_made_written_and_read_with_words() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let (author, reader) = new_key(&home, "author");
    let peer = peer_key(&home);
    let head = format!(
        "(version 1)\n(quorum 1)\n(wait 5)\n(peer \"{peer}\" 1)\n(author \"{author}\")\n(reader \"{reader}\")\n"
    );
    std::fs::write(home.join("head.txt"), &head).unwrap();
    let made = cli(&home, "hbs2:refchan:create head.txt");
    let (first, rest) = made.split_once('\n').unwrap();
    let chan = first.strip_prefix("; refchan  ").unwrap();
    assert_eq!(rest, format!("{head}; (head-extensions: (count: 0) (size 3))"), "the shape of the original");
    assert_eq!(cli(&home, "hbs2:refchan:list"), format!("(\"{chan}\")"));
    assert_eq!(home.line("hbs2-peer poll list").ok().unwrap().text(), format!("{chan:<44} 17  refchan"));
    assert_eq!(cli(&home, &format!("hbs2:refchan:head:get :parsed {chan}")), rest);
    let root = cli(&home, &format!("hbs2:refchan:head:get :hash {chan}"));
    assert_eq!(root, home.line(&format!("hbs2-peer refchan head get {chan}")).ok().unwrap().text());
    assert_eq!(cli(&home, &format!("hbs2:refchan:get {chan}")), "");

    cli(&home, &format!("hbs2:refchan:tx:propose {chan} [hbs2:refchan:tx:raw:create {author} \"hello\"]"));
    let list = format!("hbs2:refchan:tx:raw:list {chan}");
    until("the acceptance", || Ok(cli(&home, &list).contains("(accept"))).unwrap();
    assert!(cli(&home, &list).contains(&format!("\"{peer}\"")), "{}", cli(&home, &list));
    let cat = home.line(&format!("hbs2-peer refchan cat {chan}")).ok().unwrap();
    assert_eq!(cat.stdout, b"hello");

    let stranger =
        complaint(&home, &format!("hbs2:refchan:tx:propose {chan} [hbs2:refchan:tx:raw:create {chan} x]"));
    assert!(stranger.contains("as an author"), "{stranger}");
    let update = format!("hbs2:refchan:head:update {chan} head.txt");
    assert!(complaint(&home, &update).contains("take (version 2) or a higher one"));
    std::fs::write(home.join("head.txt"), head.replace("version 1", "version 2")).unwrap();
    assert_eq!(cli(&home, &update), "");
    assert!(cli(&home, &format!("hbs2:refchan:head:get :parsed {chan}")).starts_with("(version 2)\n"));
}

#[test]
fn a_channel_without_a_head_file_belongs_to_the_peer_alone() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let peer = peer_key(&home);
    let made = cli(&home, "hbs2:refchan:create");
    let lines: Vec<_> = made.lines().skip(1).take(5).map(str::to_owned).collect();
    let expected = [
        "(version 1)".to_owned(),
        "(quorum 1)".to_owned(),
        "(wait 10)".to_owned(),
        format!("(peer \"{peer}\" 1)"),
        format!("(author \"{peer}\")"),
    ];
    assert_eq!(lines, expected);
    let listed =
        cli(&home, &format!("hbs2:refchan:create '[[version 3] [quorum 1] [wait 5] [peer {peer} 1]]"));
    assert!(listed.contains("\n(version 3)\n"), "{listed}");
    let wrong = complaint(&home, "hbs2:refchan:create '[[version 3] [quorom 1]]");
    assert!(wrong.contains("a head has no line of the name \"quorom\""), "{wrong}");
    let example = cli(&home, "hbs2:refchan:head:example");
    std::fs::write(home.join("example.txt"), example).unwrap();
    assert!(cli(&home, "hbs2:refchan:create example.txt").contains("\n(notifier \"A7G1"));
}

#[test]
fn a_published_group_key_is_found_by_keyman() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let (author, reader) = new_key(&home, "author");
    let peer = peer_key(&home);
    let made = cli(
        &home,
        &format!(
            "hbs2:refchan:create '[[version 1] [quorum 1] [wait 5] [peer {peer} 1] [author {author}] [reader {reader}]]"
        ),
    );
    let chan = made.lines().next().unwrap().strip_prefix("; refchan  ").unwrap().to_owned();
    let key = cli(&home, &format!("hbs2:groupkey:publish {chan} [hbs2:groupkey:create {reader}]"));
    until("the log", || Ok(!cli(&home, &format!("hbs2:refchan:get {chan}")).is_empty())).unwrap();
    std::fs::create_dir_all(home.join(".config/hbs2-keyman")).unwrap();
    std::fs::write(home.join(".config/hbs2-keyman/config"), format!("refchan {chan}\n")).unwrap();
    let done = home.line("hbs2-keyman update").ok().unwrap();
    assert_eq!(done.text(), "");
    let id = cli(&home, &format!("hbs2:groupkey:find-secret {key}"));
    let said = format!("hbs2-keyman: scan refchan {chan}\nhbs2-keyman: found new gk0 {id} {key}\n");
    assert!(done.talk().contains(&said), "{done}");
    let again = home.line("hbs2-keyman update").ok().unwrap();
    assert!(!again.talk().contains("found new"), "{again}");
}

/// Puts a file of the mailbox vectors into the home.
fn copy(home: &Home, name: &str, to: &str) {
    let to = home.join(to);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::write(to, vectors::bytes(&format!("mailbox/{name}")).unwrap()).unwrap();
}

#[test]
fn messages_of_the_original_are_read_and_ours_have_the_same_shape() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    for number in [0, 1] {
        copy(&home, &format!("user{number}.key"), &format!(".hbs2-keyman/keys/user{number}.key"));
        copy(&home, &format!("user{number}.sigil"), &format!("user{number}.sigil"));
    }
    let manifest = vectors::json("mailbox/manifest.json").unwrap();
    let field = |name: &str| manifest[name].as_str().unwrap().to_owned();
    assert_eq!(cli(&home, "hbs2:sigil:store:file user0.sigil"), field("sender_sigil"));
    assert_eq!(cli(&home, "hbs2:sigil:store:file user1.sigil"), field("recipient_sigil"));
    for vector in manifest["vectors"].as_array().unwrap() {
        let file = vector["file"].as_str().unwrap();
        copy(&home, file, file);
        let read = |file: &str| cli(&home, &format!("hbs2:mailbox:message:read:file {file}"));
        let dump = |file: &str| cli(&home, &format!("hbs2:mailbox:message:dump {file}"));
        let text = vector["read_stdout"].as_str().unwrap();
        assert_eq!(read(file), text);
        let expected = vector["dump_stdout"].as_str().unwrap();
        assert_eq!(dump(file).replace("attachment", ""), expected.replace("attachment", ""));
        std::fs::write(home.join("letter.txt"), vector["input_text"].as_str().unwrap()).unwrap();
        cli(&home, "bytes:write ours.bin [hbs2:mailbox:message:create:short:file letter.txt]");
        assert_eq!((read("ours.bin"), dump("ours.bin")), (text.to_owned(), expected.to_owned()));
    }
    std::fs::write(home.join("letter.txt"), "to somebody\n\ntext").unwrap();
    let wrong = complaint(&home, "hbs2:mailbox:message:create:short:file letter.txt");
    assert!(wrong.contains("has a line 'to somebody', expected: sender SIGIL-HASH"), "{wrong}");

    std::fs::write(home.join("a.txt"), "attached").unwrap();
    let (sender, recipient) = (field("sender_sigil"), field("recipient_sigil"));
    for list in [
        format!("[kw sender {sender} recipient {recipient} body \"see below\" part a.txt]"),
        format!("'[dict [sender {sender}] [recipient {recipient}] [body \"see below\"] [part a.txt]]"),
    ] {
        cli(&home, &format!("bytes:write multi.bin [hbs2:mailbox:message:create:multipart {list}]"));
        let dump = cli(&home, "hbs2:mailbox:message:dump multi.bin");
        let part = dump.lines().find_map(|line| line.strip_prefix("attachment ")).unwrap();
        assert!(dump.ends_with("\n\nsee below"), "{dump}");
        assert_eq!(cli(&home, &format!("bytes:decode [hbs2:tree:read {part}]")), "attached");
        assert!(cli(&home, &format!("hbs2:tree:metadata:get {part}")).contains("(file-name: \"a.txt\")"));
    }
    let hash = cli(&home, "hbs2:peer:storage:block:put [bytes:file multi.bin]");
    assert_eq!(cli(&home, &format!("hbs2:mailbox:message:read:storage {hash}")), "see below");
}

#[test]
fn policies_are_read_asked_and_shown() {
    let home = home("alice");
    let _daemon = Daemon::start(&home, &[]).unwrap();
    let (good, bad) =
        ("4m4KhF3jfMd9n14CbjFaSJnXLaHnDaYLVKNjX4VJBNdm", "69DHLLdT5q7yyFsAGkZrQR4xiZYEDMqR5mHFs5zS3Gdy");
    let text = format!("peer allow all\nsender allow {good}\n");
    std::fs::write(home.join("policy.txt"), &text).unwrap();
    let hash = home.line("hbs2 store policy.txt").ok().unwrap().text();
    let shown = format!("(peer allow all)\n(sender deny all)\n(sender allow \"{good}\")");
    for policy in [
        "[hbs2:mailbox:policy:basic:read:file policy.txt]".to_owned(),
        format!("[hbs2:mailbox:policy:basic:read:storage {hash}]"),
        format!("[hbs2:mailbox:policy:basic:read:syntax '[[peer allow all] [sender allow {good}]]]"),
    ] {
        assert_eq!(cli(&home, &format!("hbs2:mailbox:policy:basic:dump {policy}")), shown);
        for (word, key, expected) in [("peer", bad, "#t"), ("sender", good, "#t"), ("sender", bad, "#f")] {
            let asked = format!("hbs2:mailbox:policy:basic:accept:{word} {key} {policy}");
            assert_eq!(cli(&home, &format!("print [{asked}]")), expected, "{asked}");
        }
    }
    let wrong = complaint(&home, "hbs2:mailbox:policy:basic:read:syntax '[[peer forbid all]]");
    assert!(wrong.contains("the policy has a line (peer forbid all)"), "{wrong}");
}
