//! What a block from somebody's reflog is worth.

use hbs2_core::cbor::Decode;
use hbs2_core::pointer::{AnnotatedRef, SequentialRef};
use hbs2_core::reflog::ReflogUpdate;
use hbs2_core::{Hash, SignPublicKey};

use crate::Examined;

/// Checks a block that somebody's tree lists as an update of reflog `key`: it must be an update, of this reflog and
/// no other, with a good signature. Pure; costs about 50 µs, nearly all of it for the signature.
#[must_use]
pub fn examine_update(key: &SignPublicKey, block: Option<&[u8]>) -> Examined {
    let Some(block) = block else { return Examined::Absent };
    match ReflogUpdate::from_bytes(block) {
        Ok(update) if update.key() != key => Examined::Foreign,
        Ok(update) if update.verify().is_ok() => Examined::Valid { links: payload_links(update.data()) },
        _ => Examined::Bad,
    }
}

/// The trees that the payload of an update names, if it is a pointer.
pub(crate) fn payload_links(data: &[u8]) -> Vec<Hash> {
    let pointer = AnnotatedRef::from_bytes(data)
        .or_else(|_| SequentialRef::from_bytes(data).map(|sequential| sequential.target));
    match pointer {
        Ok(pointer) => std::iter::once(pointer.target).chain(pointer.annotation).collect(),
        Err(_) => Vec::new(),
    }
}
