//! The examples of the pages in `docs/spec/` are what they say: a block fenced with `hex Packet` is read as a message
//! and written again to the same bytes.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use hbs2_proto::wire::Message;

#[test]
fn packets_of_the_pages_are_exact() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec");
    let mut checked = 0;
    for page in fs::read_dir(&pages).unwrap() {
        let path = page.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for example in text.split("\n```hex Packet\n").skip(1) {
            let digits: String = example.split("```").next().unwrap().split_whitespace().collect();
            let packet = Bytes::from(hex::decode(digits).unwrap());
            let message =
                Message::decode(&packet).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(message.encode().to_bytes(), packet, "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked >= 8, "{checked} examples in {}", pages.display());
}
