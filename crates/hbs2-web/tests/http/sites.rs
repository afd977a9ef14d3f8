//! Trees as sites: parts, references, redirects.

use crate::kit::{Web, key};

#[test]
fn a_reference_shows_its_tree_and_may_be_kept_for_five_minutes() {
    let web = Web::start();
    let (first, second) =
        (web.state.site(b"one", "mime-type: text/html"), web.state.site(b"two", "mime-type: a/b"));
    let path = format!("/ref/{}", key(1).public());
    web.state.set(key(1).public(), first);
    let answer = web.get(&path);
    assert_eq!((answer.status, answer.text()), (200, "one"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(answer.header("etag"), Some(format!("\"{first}\"").as_str()));
    let tag = format!("\"{first}\"");
    assert_eq!(web.get_with(&path, &[("if-none-match", &tag)]).status, 304);
    web.state.set(key(1).public(), second);
    assert_eq!(web.get_with(&path, &[("if-none-match", &tag)]).text(), "two");
}

#[test]
fn parts_are_trees_references_and_redirects() {
    let web = Web::start();
    let style = web.state.site(b"body { }", "mime-type: text/css");
    let news = web.state.site(b"news", "mime-type: text/plain");
    web.state.set(key(1).public(), news);
    let meta = format!(
        "mime-type: \"text/html\"\nfile-name: \"index.html\"\nweb:bind css/a.css (tree {style})\nweb:bind news ref {}\nweb:bind home redirect \"https://example.org/\"",
        key(1).public()
    );
    let root = web.state.site(b"<p>", &meta);
    for (path, expected) in
        [("", "<p>"), ("/", "<p>"), ("/index.html", "<p>"), ("/css/a.css", "body { }"), ("/news", "news")]
    {
        let answer = web.get(&format!("/tree/{root}{path}"));
        assert_eq!((answer.status, answer.text()), (200, expected), "{path}");
    }
    let part = web.get(&format!("/tree/{root}/css/a.css"));
    assert_eq!(part.header("etag"), Some(format!("\"{style}\"").as_str()));
    assert_eq!(part.header("content-type"), Some("text/css"));
    let news = web.get(&format!("/tree/{root}/news"));
    assert_eq!(news.header("cache-control"), Some("public, max-age=300"), "a reference may change");
    let home = web.get(&format!("/tree/{root}/home"));
    assert_eq!((home.status, home.header("location")), (302, Some("https://example.org/")));
    let other = web.get(&format!("/tree/{root}/other"));
    assert!(other.status == 404 && other.text().contains("has no part other"), "{other:?}");
}

#[test]
fn a_site_may_show_one_of_its_parts_or_send_elsewhere() {
    let web = Web::start();
    let page = web.state.site(b"page", "mime-type: text/plain");
    let root = web.state.site(b"", &format!("web:root: \"start\"\nweb:bind start tree {page}"));
    assert_eq!(web.get(&format!("/tree/{root}")).text(), "page");
    let own = web.state.site(b"own", "web:root: \"yes\"\nmime-type: a/b");
    assert_eq!(
        web.get(&format!("/tree/{own}")).text(),
        "own",
        "a root that is no part shows the tree itself"
    );
    let away = web.state.site(b"", "web:redirect: \"/elsewhere\"");
    let answer = web.get(&format!("/tree/{away}"));
    assert_eq!((answer.status, answer.header("location")), (302, Some("/elsewhere")));
    let trap = web.state.site(b"", "web:redirect: \"javascript:alert(1)\"");
    assert_eq!(web.get(&format!("/tree/{trap}")).status, 404);
}

#[test]
fn parts_that_lead_round_in_a_circle_end() {
    let web = Web::start();
    let meta = format!("web:root start\nweb:bind start ref {}", key(1).public());
    let root = web.state.site(b"", &meta);
    web.state.set(key(1).public(), root);
    assert_eq!(web.get(&format!("/tree/{root}")).status, 404);
}

#[test]
fn pages_that_may_run_scripts_are_kept_apart_from_everything_else() {
    let web = Web::start();
    let page = web.state.site(b"<p>", "mime-type: \"text/html; charset=utf-8\"");
    let image = web.state.site(b"x", "mime-type: \"image/png\"");
    let policy =
        |hash| web.get(&format!("/tree/{hash}")).header("content-security-policy").map(str::to_owned);
    assert!(policy(page).unwrap().starts_with("sandbox "));
    assert_eq!(policy(image), None);
    let mime = "mime-type: \"text/html\u{1}\"";
    let odd = web.state.site(b"<p>", mime);
    assert_eq!(web.get(&format!("/tree/{odd}")).header("content-type"), Some("application/octet-stream"));
}
