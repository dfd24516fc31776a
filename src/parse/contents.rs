//! What a file that is no CSV is, by its first bytes. They are asked only about a file whose header does not fit: a
//! header may well begin with `ORC`.

/// How many of a file's first bytes are enough to tell.
pub const FIRST_BYTES: usize = 4096;

/// What begins with which bytes.
const BEGINNINGS: [(&[u8], &str); 25] = [
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"\x1f\x8b", "compressed with gzip once more"),
    (b"\x1f\x9d", "compressed with compress (.Z)"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd once more"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"\xff\x06\0\0sNaPpY", "compressed with snappy"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"PAR1", "a Parquet file"),
    (b"PARE", "an encrypted Parquet file"),
    (b"ORC", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG\r\n\x1a\n", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"-----BEGIN PGP", "encrypted or signed with PGP"),
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS, and not what it points to"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (such as xls)"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"\0\0\xfe\xff", "text in UTF-32"),
    (b"\xff\xfe\0\0", "text in UTF-32"),
];

/// What a file is that begins like this, if that is known and no CSV.
#[must_use]
pub fn kind(first: &[u8]) -> Option<&'static str> {
    if first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06") {
        let has = |part: &[u8]| first.windows(part.len()).any(|window| window == part);
        return Some(match () {
            () if has(b"[Content_Types].xml") || has(b"xl/") || has(b"_rels/") => "an Excel workbook (xlsx)",
            () if has(b"opendocument.spreadsheet") => "an OpenDocument spreadsheet (ods)",
            () => "a zip archive",
        });
    }
    if first.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    if let Some((_, kind)) = BEGINNINGS.iter().find(|(beginning, _)| first.starts_with(beginning)) {
        return Some(kind);
    }
    if is_utf16(first) {
        return Some("text in UTF-16");
    }
    text_kind(first)
}

/// Text in which every second byte is a NUL, as of Latin letters in UTF-16.
fn is_utf16(first: &[u8]) -> bool {
    let pairs = first[..first.len().min(64)].chunks_exact(2);
    let all = |odd: usize| pairs.len() > 1 && pairs.clone().all(|pair| pair[odd] == 0 && pair[1 - odd] != 0);
    all(0) || all(1)
}

/// What a file of text is, by its first letters.
fn text_kind(first: &[u8]) -> Option<&'static str> {
    let text = first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first).trim_ascii_start();
    let begins =
        |with: &str| text.get(..with.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(with.as_bytes()));
    match text {
        _ if begins("<!doctype html") || begins("<html") || begins("<head") || begins("<body") => {
            Some("an HTML page; a server may have answered with an error or a login")
        }
        _ if is_markup(text) => Some("XML or the like; a server may have answered with an error"),
        _ if is_json(text) => Some("JSON"),
        _ => None,
    }
}

/// Whether a text begins with a tag. Names of columns may be in angle brackets too: `<TICKER>,<DATE>,<CLOSE>`.
fn is_markup(text: &[u8]) -> bool {
    let end = text.iter().position(|byte| *byte == b'>');
    let behind = end.and_then(|end| text.get(end + 1));
    matches!(text, [b'<', b'?' | b'!' | b'/' | b'a'..=b'z' | b'A'..=b'Z', ..])
        && end.is_some()
        && !matches!(behind, Some(b',' | b';' | b'|' | b'\t'))
}

/// Whether a text begins as an object does, or as a list of values that no other kind of text has in brackets.
fn is_json(text: &[u8]) -> bool {
    let Some((bracket @ (b'{' | b'['), rest)) = text.split_first() else { return false };
    match (bracket, rest.trim_ascii_start().first()) {
        (b'{', Some(next)) => matches!(next, b'"' | b'}'),
        (_, Some(next)) => matches!(next, b'{' | b'[' | b'"' | b']' | b'-' | b'0'..=b'9'),
        (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_say_what_a_file_is() {
        for (first, is) in [
            (&b"PK\x03\x04\x14\0\0\0\0\0aX\x85\xdd\x18\0\0\0\x18\0\0\0\x05\0\0\0a.csvid,name"[..], "zip archive"),
            (b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml", "xlsx"),
            (b"BZh91AY&SY", "bzip2"),
            (b"\xfd7zXZ\0\0\x04", " xz"),
            (b"7z\xbc\xaf\x27\x1c\0\x04", "7z"),
            (b"PAR1\x15\x04", "Parquet"),
            (b"ORC\n\x0b", "ORC"),
            (b"Obj\x01\x04\x16avro.schema", "Avro"),
            (b"%PDF-1.7\n", "PDF"),
            (b"\n <!DOCTYPE HTML>\n<html>", "HTML"),
            (b"\xEF\xBB\xBF<html lang=en>", "HTML"),
            (b"<?xml version=\"1.0\"?>", "XML"),
            (b"<Error><Code>AccessDenied</Code></Error>", "XML"),
            (b"<!-- 503 -->\n", "XML"),
            (b"{\\rtf1\\ansi", "RTF"),
            (b"\x89PNG\r\n\x1a\n\0", "image"),
            (b"-----BEGIN PGP MESSAGE-----\n", "PGP"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "Git LFS"),
            (b"{ \"id\": 1 }\n", "JSON"),
            (b"[1,2]", "JSON"),
            (b"{\"id\":1}\n", "JSON"),
            (b"[\n {\"id\":1}\n", "JSON"),
            (b"i\0d\0,\0n\0", "UTF-16"),
            (b"\0i\0d\0,\0n", "UTF-16"),
            (&[&b"a.csv"[..], &[0; 252], b"ustar\x0000"].concat(), "tar archive"),
        ] {
            assert!(kind(first).unwrap_or_default().contains(is), "{first:?} is {:?}", kind(first));
        }
        for csv in [
            &b""[..],
            b"id,name\n1,a\n",
            b"PK,name\n",
            b"P",
            b"\0",
            b"\"a\"\n",
            b"# made by <html>\n",
            b"3\xFF",
            b"[section]\nkey=1\n",
            b"{id},{name}\n",
            b"<1,2\n",
            b"<TICKER>,<DATE>\n",
            b"<x;y\n",
        ] {
            assert_eq!(kind(csv), None, "{csv:?}");
        }
    }
}
