//! What kind of file this is, told by its first bytes, in the words of the `file` program.

/// Kinds with a mark at their start: where it stands, the mark, the kind.
const MARKS: &[(usize, &[u8], &str)] = &[
    (0, b"\x89PNG\r\n\x1a\n", "image/png; charset=binary"),
    (0, b"\xff\xd8\xff", "image/jpeg; charset=binary"),
    (0, b"GIF8", "image/gif; charset=binary"),
    (8, b"WEBP", "image/webp; charset=binary"),
    (0, b"%PDF-", "application/pdf; charset=binary"),
    (0, b"PK\x03\x04", "application/zip; charset=binary"),
    (0, b"\x1f\x8b", "application/gzip; charset=binary"),
    (0, b"BZh", "application/x-bzip2; charset=binary"),
    (0, b"\xfd7zXZ\0", "application/x-xz; charset=binary"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd; charset=binary"),
    (0, b"\x7fELF", "application/x-executable; charset=binary"),
    (0, b"ID3", "audio/mpeg; charset=binary"),
    (0, b"OggS", "audio/ogg; charset=binary"),
    (0, b"fLaC", "audio/flac; charset=binary"),
    (4, b"ftyp", "video/mp4; charset=binary"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm; charset=binary"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3; charset=binary"),
    (257, b"ustar", "application/x-tar; charset=binary"),
];

/// The kind of a file that begins with `start`; `whole` says that this is all of it.
#[must_use]
pub fn of(start: &[u8], whole: bool) -> &'static str {
    let marked =
        |(at, mark, _): &&(usize, &[u8], &str)| start.get(*at..).is_some_and(|rest| rest.starts_with(mark));
    match MARKS.iter().find(marked) {
        _ if start.is_empty() => "inode/x-empty; charset=binary",
        Some((_, _, kind)) => kind,
        None => text(start, whole),
    }
}

fn text(start: &[u8], whole: bool) -> &'static str {
    const UNKNOWN: &str = "application/octet-stream; charset=binary";
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The last character may have been cut.
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return UNKNOWN,
    };
    let odd = |c: char| c.is_ascii_control() && !"\t\n\r\x0b\x0c\x08\x1b\x07".contains(c);
    if valid.contains(odd) {
        return UNKNOWN;
    }
    let head: String = valid.trim_start().chars().take(14).collect::<String>().to_ascii_lowercase();
    match (head.starts_with("<!doctype html") || head.starts_with("<html"), valid.is_ascii()) {
        (true, true) => "text/html; charset=us-ascii",
        (true, false) => "text/html; charset=utf-8",
        (false, true) => "text/plain; charset=us-ascii",
        (false, false) => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_by_their_characters_and_others_by_their_mark() {
        for (start, expected) in [
            (&b"hello\n"[..], "text/plain; charset=us-ascii"),
            ("имя".as_bytes(), "text/plain; charset=utf-8"),
            (b"<!DOCTYPE html><p>", "text/html; charset=us-ascii"),
            (b"", "inode/x-empty; charset=binary"),
            (b"\x89PNG\r\n\x1a\n\0\0", "image/png; charset=binary"),
            (b"a\0b", "application/octet-stream; charset=binary"),
            (b"caf\xe9", "application/octet-stream; charset=binary"),
        ] {
            assert_eq!(of(start, true), expected, "{start:?}");
        }
    }

    #[test]
    fn a_character_may_be_cut_where_the_file_goes_on() {
        let cut = &"имя".as_bytes()[..5];
        assert_eq!(of(cut, false), "text/plain; charset=utf-8");
        assert_eq!(of(cut, true), "application/octet-stream; charset=binary");
    }
}
