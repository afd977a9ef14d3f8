//! Mailboxes: messages opened by their recipients, entries, deletions, statuses.

use hbs2_core::mailbox::{
    Deletion, Flags, MailboxEntry, MailboxKind, MailboxStatus, MessageContent, MessageKey,
};
use hbs2_core::{Encode, EncryptSecretKey, Hash, Keyring, Message, Sigil};

use crate::support::{Blocks, Fields, H0, cases, file, h1, round_trip, value};

fn keys(path: &str) -> Vec<EncryptSecretKey> {
    Keyring::parse(&file(path)).unwrap().encrypt.into_iter().map(|entry| entry.secret).collect()
}

#[test]
fn messages_open_for_recipient_and_sender() {
    let blocks = Blocks::of("mailbox/blocks");
    let card = |name: &str| Sigil::parse(&file(name)).unwrap().verify().unwrap();
    let (sender, recipient) = (card("mailbox/user0.sigil"), card("mailbox/user1.sigil"));
    for case in cases("mailbox/manifest.json", "vectors") {
        let bytes = file(&format!("mailbox/{}", case.text("file")));
        let message: Message = round_trip(&bytes);
        assert_eq!(message.id(), case.parsed("hash"));
        let opened = message.verify().unwrap();
        assert_eq!(opened.signer, sender.sign);
        assert!(opened.value.recipients.contains(&recipient.sign));
        for keyring in ["mailbox/user0.key", "mailbox/user1.key"] {
            let text = opened.value.open(&keys(keyring)).unwrap();
            assert_eq!(String::from_utf8_lossy(&text), case.text("read_stdout"));
        }
        let MessageKey::Inline(key) = &opened.value.key else { panic!("the group key is within") };
        let mut built = Blocks::default();
        let root = key.build(|hash, block| drop(built.0.insert(hash, block)));
        assert_eq!(root, opened.value.body.key);
        assert!(built.0.iter().all(|(hash, block)| blocks.0.get(hash) == Some(block)), "{}", case["file"]);
    }
}

#[test]
fn values_have_the_form_of_the_original() {
    assert_eq!(value::<MailboxKind>("mailbox", "MailboxType hub"), MailboxKind::Hub);
    assert_eq!(round_trip::<MailboxKind>(&[0x81, 0x01]), MailboxKind::Relay);
    let flags = Flags { created: 1_700_000_000, ttl: None, gzip: false, schema: None };
    assert_eq!(value::<Flags>("mailbox", "MessageFlags1"), flags);
    let full = Flags { ttl: Some(5), gzip: true, schema: Some(h1()), ..flags };
    assert_eq!(value::<Flags>("mailbox", "MessageFlags1 all"), full);
    let content: MessageContent = value("mailbox", "MessageContent Left");
    assert!(matches!(content.key, MessageKey::Tree(_)));
    value::<Message>("mailbox", "Message").verify().unwrap();
    let status: MailboxStatus = value("mailbox", "MailBoxStatusPayload");
    assert_eq!((status.seconds, status.kind, status.tree), (1, MailboxKind::Hub, Some(h1())));
    assert_eq!(value::<Deletion>("mailbox", "DeleteMessagesPayload"), Deletion::of(h1()));
    let exists = MailboxEntry::Exists { policy: None, message: h1() };
    assert_eq!(value::<MailboxEntry>("mailbox", "Exists"), exists);
    let deleted = MailboxEntry::Deleted { proof: Some(H0), message: h1() };
    assert_eq!(value::<MailboxEntry>("mailbox", "Deleted"), deleted);
    assert_eq!(Hash::of(&deleted.to_bytes()).to_string(), "3JKyREGu7PhCYXtkG4VEiYWC3VWBcxNC2ZtzDxourmaZ");
}
