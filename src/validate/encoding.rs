//! Which encodings would read what is no UTF-8.

/// The encodings that would read these bytes, as words of a message. `None` where some of them are characters in UTF-8:
/// the file is UTF-8 then, and damaged.
pub(super) fn encodings<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Option<&'static str> {
    let (mut any, mut undefined, mut control) = (false, false, false);
    for text in texts {
        for chunk in text.utf8_chunks() {
            if !chunk.valid().is_ascii() {
                return None;
            }
            for byte in chunk.invalid() {
                any = true;
                // https://encoding.spec.whatwg.org/index-windows-1252.txt has controls for these five.
                undefined |= matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d);
                control |= (0x80..0xa0).contains(byte);
            }
        }
    }
    match (any, undefined, control) {
        (false, ..) => None,
        // Letters of Latin-1 and no others: what stands where it has controls is another encoding.
        (true, false, false) => Some("latin1 (ISO 8859-1) and windows-1252"),
        (true, false, true) => Some("windows-1252"),
        (true, true, _) => Some("encodings such as Shift_JIS, GBK or windows-1251"),
    }
}

/// The end of a message about text that is no UTF-8.
pub(super) fn would_read(encodings: &str) -> String {
    format!("; {encodings} would read it, UTF-8 is needed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_say_which_encodings_would_read_them() {
        for (text, expected) in [
            (&b"Ann"[..], None),
            (b"Caf\xe9", Some("latin1 (ISO 8859-1) and windows-1252")),
            (b"5 \x80", Some("windows-1252")),
            (b"\x83e\x81X", Some("encodings such as Shift_JIS, GBK or windows-1251")),
            (b"\xc3\xa9 and \xe9", None),
        ] {
            assert_eq!(encodings([text]), expected, "{text:?}");
        }
        assert_eq!(encodings([&b"a"[..], b"\xe9", b"\x80"]), Some("windows-1252"));
    }
}
