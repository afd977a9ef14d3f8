//! Blocks and trees, their conditions and ranges, and what is told about the peer.

use hbs2_core::{Crypt, Hash, Meta};

use crate::kit::{Web, data, key};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

#[test]
fn a_block_is_served_with_its_hash_as_tag_and_may_be_kept_for_ever() {
    let web = Web::start();
    let block = data(100_000);
    let hash = web.state.put(block.clone());
    let answer = web.get(&format!("/cat/{hash}"));
    assert_eq!((answer.status, &answer.body), (200, &block));
    assert_eq!(answer.header("etag"), Some(format!("\"{hash}\"").as_str()));
    assert_eq!(answer.header("cache-control"), Some(IMMUTABLE));
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn empty_and_large_blocks_are_served_whole() {
    let web = Web::start();
    for bytes in [0, 1, 512 * 1024, 512 * 1024 + 1, 3_000_000] {
        let block = data(bytes);
        let hash = web.state.put(block.clone());
        let answer = web.get(&format!("/cat/{hash}"));
        assert!(answer.status == 200 && answer.body == block, "{bytes} bytes");
    }
}

#[test]
fn what_is_not_here_or_no_hash_is_not_found() {
    let web = Web::start();
    let absent = Hash::of(b"absent");
    for path in [
        format!("/cat/{absent}"),
        format!("/size/{absent}"),
        format!("/tree/{absent}"),
        format!("/ref/{}", key(1).public()),
        format!("/reflog/{}", key(1).public()),
        "/cat/nonsense".to_owned(),
        "/ref/nonsense".to_owned(),
        "/elsewhere".to_owned(),
        "/cat/%ff".to_owned(),
    ] {
        let answer = web.get(&path);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.body.is_empty(), "{path} says why");
    }
    assert_eq!(web.get("/cat/nonsense").text(), "nonsense is no hash\n");
    assert_eq!(web.get(&format!("/cat/{absent}")).header("cache-control"), Some("no-store"));
    assert_eq!(web.request("DELETE", &format!("/cat/{absent}"), &[], b"").status, 405);
}

#[test]
fn sizes_and_values_of_reflogs_are_told_as_text() {
    let web = Web::start();
    let hash = web.state.put(data(1234));
    let answer = web.get(&format!("/size/{hash}"));
    assert_eq!((answer.status, answer.text()), (200, "1234"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    web.state.set(key(1).public(), hash);
    let answer = web.get(&format!("/reflog/{}", key(1).public()));
    assert_eq!((answer.status, answer.text()), (200, hash.to_string().as_str()));
}

#[test]
fn a_tree_is_served_in_its_order_with_what_its_metadata_says() {
    let web = Web::start();
    let content = data(2_000_000);
    let meta =
        "mime-type: \"text/plain; charset=utf-8\"\nfile-name: \"notes.txt\"\ncontent-encoding: \"gzip\"";
    let root = web.state.site(&content, meta);
    web.state.read.lock().unwrap().clear();
    let answer = web.get(&format!("/tree/{root}"));
    assert!(answer.status == 200 && answer.body == content);
    assert_eq!(answer.header("content-length"), Some("2000000"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("content-disposition"), Some("inline; filename=\"notes.txt\""));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("etag"), Some(format!("\"{root}\"").as_str()));
    assert_eq!(answer.header("cache-control"), Some(IMMUTABLE));
    let read = web.state.read.lock().unwrap().clone();
    let chunks = web.state.chunks(&content, 256 * 1024);
    let order: Vec<_> = read.into_iter().filter(|hash| chunks.contains(hash)).collect();
    assert_eq!(order.len(), chunks.len(), "each block is read once");
    // The next two blocks are asked for while the last two are on their way.
    for (at, chunk) in chunks.iter().enumerate() {
        let read_at = order.iter().position(|hash| hash == chunk).unwrap();
        assert!(read_at.abs_diff(at) <= 2, "block {at} was read as number {read_at}");
    }
}

#[test]
fn metadata_may_stand_in_a_block_of_its_own() {
    let web = Web::start();
    let hashes = web.state.chunks(b"body { }", 100);
    let meta = Meta::Block(web.state.put(&b"mime-type: \"text/css\""[..]));
    let root = web.state.tree(&hashes, meta, Crypt::None);
    let answer = web.get(&format!("/tree/{root}"));
    assert_eq!(
        (answer.status, answer.text(), answer.header("content-type")),
        (200, "body { }", Some("text/css"))
    );
}

#[test]
fn trees_that_are_bare_sealed_or_incomplete_are_not_found() {
    let web = Web::start();
    let content = data(600_000);
    let hashes = web.state.chunks(&content, 256 * 1024);
    let bare = web.state.tree(&hashes, Meta::None, Crypt::None);
    let plain = web.state.plain(&content);
    let crypt = Crypt::Group2 { sip: (1, 2), key: Hash::of(b"key"), nonce: vec![3; 24] };
    let sealed = web.state.tree(&hashes, Meta::Short("mime-type: text/plain".into()), crypt);
    let lost = web.state.tree(&hashes, Meta::Block(Hash::of(b"lost")), Crypt::None);
    for (root, why) in
        [(bare, "no tree with metadata"), (plain, "no tree"), (sealed, "is sealed"), (lost, "not here")]
    {
        let answer = web.get(&format!("/tree/{root}"));
        assert!(answer.status == 404 && answer.text().contains(why), "{answer:?}");
    }
    let whole = web.state.site(&content, "mime-type: text/plain");
    web.state.delete(&hashes[2]);
    let answer = web.get(&format!("/tree/{whole}"));
    assert!(answer.status == 404 && answer.text().contains(&hashes[2].to_string()), "{answer:?}");
}

#[test]
fn a_head_has_the_headers_of_the_answer_and_reads_no_content() {
    let web = Web::start();
    let content = data(1_000_000);
    let root = web.state.site(&content, "mime-type: text/plain");
    web.state.read.lock().unwrap().clear();
    let mut connection = web.connect();
    for _ in 0..2 {
        connection.send("HEAD", &format!("/tree/{root}"), &[("range", "bytes=0-0")], b"");
        let answer = connection.answer("HEAD");
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("1000000")));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
    }
    let chunks = web.state.chunks(&content, 256 * 1024);
    assert!(!web.state.read.lock().unwrap().iter().any(|hash| chunks.contains(hash)));
}

#[test]
fn who_has_the_tag_gets_no_content() {
    let web = Web::start();
    let root = web.state.site(b"hello", "mime-type: text/plain");
    let path = format!("/tree/{root}");
    let tag = format!("W/\"x\", \"{root}\"");
    let answer = web.get_with(&path, &[("if-none-match", &tag)]);
    assert_eq!((answer.status, answer.body.len()), (304, 0));
    assert_eq!(answer.header("etag"), Some(format!("\"{root}\"").as_str()));
    assert_eq!(answer.header("cache-control"), Some(IMMUTABLE));
    assert_eq!(web.get_with(&path, &[("if-none-match", "\"x\"")]).text(), "hello");
    assert_eq!(web.get_with(&path, &[("if-match", "\"x\"")]).status, 412);
}

#[test]
fn any_range_of_a_tree_is_that_part_of_its_content() {
    let web = Web::start();
    let content = data(1_500_000);
    let even = web.state.site(&content, "mime-type: text/plain");
    let odd_chunks = web.state.chunks(&content, 999_999);
    let odd = web.state.tree(&odd_chunks, Meta::Short("mime-type: text/plain".into()), Crypt::None);
    for root in [even, odd] {
        for (from, to) in [
            (0, 1),
            (0, 1_500_000),
            (262_143, 262_145),
            (262_144, 524_288),
            (1, 1_499_999),
            (999_998, 1_000_001),
            (1_499_999, 1_500_000),
        ] {
            let range = format!("bytes={from}-{}", to - 1);
            let answer = web.get_with(&format!("/tree/{root}"), &[("range", &range)]);
            assert!(answer.status == 206 && answer.body == content[from..to], "{range} of {root}");
            let expected = format!("bytes {from}-{}/1500000", to - 1);
            assert_eq!(answer.header("content-range"), Some(expected.as_str()));
        }
    }
    let answer = web.get_with(&format!("/tree/{even}"), &[("range", "bytes=-5")]);
    assert_eq!(answer.body, content[1_499_995..]);
}

#[test]
fn a_range_reads_only_the_blocks_it_needs() {
    let web = Web::start();
    let content = data(3_000_000);
    let root = web.state.site(&content, "mime-type: text/plain");
    web.state.read.lock().unwrap().clear();
    web.get_with(&format!("/tree/{root}"), &[("range", "bytes=2000000-2000009")]);
    let chunks = web.state.chunks(&content, 256 * 1024);
    let read = web.state.read.lock().unwrap().clone();
    let read: Vec<_> = read.into_iter().filter(|hash| chunks.contains(hash)).collect();
    assert_eq!(read, [chunks[7]]);
}

#[test]
fn a_range_outside_is_refused_with_the_length() {
    let web = Web::start();
    let hash = web.state.put(data(10));
    let answer = web.get_with(&format!("/cat/{hash}"), &[("range", "bytes=10-")]);
    assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */10")));
    let answer = web.get_with(&format!("/cat/{hash}"), &[("range", "bytes=0-1,3-4")]);
    assert_eq!((answer.status, answer.body.len()), (200, 10), "several ranges are answered with everything");
}

#[test]
fn the_peer_tells_how_it_is() {
    let web = Web::start();
    let answer = web.get("/healthz");
    assert_eq!((answer.status, answer.text()), (200, "ok\n"));
    assert_eq!(web.get("/metadata").body, b"\x81\x00");
    web.get("/cat/nonsense");
    let answer = web.get("/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "hbs2_sent_bytes_total 42",
        "hbs2_http_requests_total{path=\"/cat/{hash}\",code=\"404\"} 1",
        "hbs2_http_requests_total{path=\"/healthz\",code=\"200\"} 1",
        "# EOF",
    ] {
        assert!(answer.text().lines().any(|one| one == line), "{line} is not in\n{}", answer.text());
    }
}

#[test]
fn without_the_peer_every_request_says_so() {
    let web = Web::start();
    assert_eq!(web.get("/healthz").status, 200);
    web.stop_peer();
    let hash = Hash::of(b"x");
    for path in
        ["/healthz".to_owned(), "/metrics".to_owned(), format!("/cat/{hash}"), format!("/tree/{hash}")]
    {
        let answer = web.get(&path);
        assert_eq!((answer.status, answer.text()), (503, "the peer does not answer\n"), "{path}");
    }
}
