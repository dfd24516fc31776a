//! gzip and zstd, recognised and undone: every member and frame, to the end of the file.

use std::io::{self, BufRead, Chain, Cursor, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

/// The first bytes, looked at already, and the rest.
type Input<R> = Chain<Cursor<Vec<u8>>, R>;

/// Text as it comes out of a file that may be compressed.
///
/// The first bytes decide. The name counts only where they are too few to tell: an empty `.gz` is a cut-off file, while
/// a longer one that is not gzip (some web servers and tools decompress on the way) is taken as it is.
#[expect(clippy::large_enum_variant, reason = "there is one per open file, and its owner boxes it")]
pub(super) enum Decoder<R: BufRead> {
    /// Not compressed.
    Plain(Input<R>),
    /// gzip.
    Gzip(Gzip<Input<R>>),
    /// zstd.
    Zstd(zstd::stream::read::Decoder<'static, Input<R>>),
}

const GZIP: &[u8] = &[0x1f, 0x8b, 0x08];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

impl<R: BufRead> Decoder<R> {
    /// Looks at the first bytes of a file of that name. A zstd file with a window of more than two to the power of
    /// `zstd_window_log` bytes is an error: the window is kept in memory.
    pub(super) fn new(mut stored: R, name: &str, zstd_window_log: u32) -> io::Result<Self> {
        let mut head = Vec::with_capacity(ZSTD.len());
        (&mut stored).take(ZSTD.len() as u64).read_to_end(&mut head)?;
        let cut_off = |extension, magic: &[u8]| {
            let name = name.split('?').next().unwrap_or(name);
            let named = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
            named && head.len() < magic.len() && magic.starts_with(&head)
        };
        // A zstd file may begin with a frame to be skipped: sixteen magic numbers that differ in their first byte.
        let skippable = matches!(head[..], [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
        let gzip = head.starts_with(GZIP) || cut_off("gz", GZIP);
        let zstd = head.starts_with(ZSTD) || skippable || cut_off("zst", ZSTD);
        if zstd && head.is_empty() {
            // Nothing at all is zero frames to the decompressor.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let input = Cursor::new(head).chain(stored);
        Ok(if gzip {
            Self::Gzip(Gzip { member: Some(GzDecoder::new(input)), ended: false })
        } else if zstd {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
            decoder.window_log_max(zstd_window_log)?;
            Self::Zstd(decoder)
        } else {
            Self::Plain(input)
        })
    }

    /// The compression, if any.
    pub(super) fn format(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => None,
            Self::Gzip(_) => Some("gzip"),
            Self::Zstd(_) => Some("zstd"),
        }
    }

    /// The stored bytes that were not asked for.
    pub(super) fn into_inner(self) -> Option<R> {
        let input = match self {
            Self::Plain(input) => input,
            Self::Gzip(gzip) => gzip.member?.into_inner(),
            Self::Zstd(zstd) => zstd.finish(),
        };
        Some(input.into_inner().1)
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(gzip) => gzip.read(buffer),
            Self::Zstd(zstd) => zstd.read(buffer),
        }
    }
}

/// The members of a gzip file, one after the other. Zeros after the last one are padding, as they are to `gzip`;
/// anything else there is an error, since it may be a member that was damaged.
pub(super) struct Gzip<R> {
    // Taken out only to be put back with the next member's decoder.
    member: Option<GzDecoder<R>>,
    ended: bool,
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            if self.ended || buffer.is_empty() {
                break;
            }
            let n = member.read(buffer)?;
            if n > 0 {
                return Ok(n);
            }
            match after_member(member.get_mut())? {
                After::Nothing => self.ended = true,
                After::Member => self.member = self.member.take().map(|m| GzDecoder::new(m.into_inner())),
            }
        }
        Ok(0)
    }
}

enum After {
    Nothing,
    Member,
}

fn after_member(input: &mut impl BufRead) -> io::Result<After> {
    let mut padded = false;
    loop {
        let bytes = input.fill_buf()?;
        let zeros = bytes.iter().take_while(|b| **b == 0).count();
        padded |= zeros > 0;
        match bytes.get(zeros) {
            None if bytes.is_empty() => return Ok(After::Nothing),
            None => input.consume(zeros),
            Some(0x1f) if !padded => return Ok(After::Member),
            Some(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "other data follow its last member")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 3).unwrap()
    }

    /// Reads through a buffer of one byte, so that nothing is found in one piece.
    fn text(stored: &[u8], name: &str) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Decoder::new(io::BufReader::with_capacity(1, stored), name, 23)?.read_to_end(&mut text)?;
        let mut at_once = Vec::new();
        Decoder::new(stored, name, 23)?.read_to_end(&mut at_once)?;
        assert_eq!(text, at_once);
        Ok(text)
    }

    #[test]
    fn every_member_and_frame_is_read_whatever_the_name() {
        let two = |pack: fn(&[u8]) -> Vec<u8>| [pack(b"one\n"), pack(b"two\n")].concat();
        for name in ["x.csv", "x.csv.gz", "x.csv.zst", "http://h/x.gz?sig=***"] {
            assert_eq!(text(&two(gzip), name).unwrap(), b"one\ntwo\n", "{name}");
            assert_eq!(text(&two(zstd), name).unwrap(), b"one\ntwo\n", "{name}");
            let skipped = [&[0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9][..], &zstd(b"one\n")].concat();
            assert_eq!(text(&skipped, name).unwrap(), b"one\n", "{name}");
        }
        assert_eq!(text(&gzip(b""), "x.gz").unwrap(), b"");
    }

    #[test]
    fn a_plain_file_under_a_compressed_name_is_taken_as_it_is() {
        for name in ["x.csv", "x.csv.gz", "x.csv.zst"] {
            for plain in [&b"id,name\n1,a\n"[..], b"i", b"P*M", b"\x1f"] {
                let cut_off_gzip = plain == b"\x1f" && name == "x.csv.gz";
                assert_eq!(text(plain, name).is_err(), cut_off_gzip, "{plain:?} {name}");
            }
        }
        assert_eq!(text(b"", "x.csv").unwrap(), b"");
    }

    #[test]
    fn a_file_cut_off_at_any_byte_is_an_error() {
        for (pack, name) in [(gzip as fn(&[u8]) -> Vec<u8>, "x.gz"), (zstd, "x.zst")] {
            let first = pack(b"id,name\n1,a\n");
            let both = [first.clone(), pack(b"2,b\n2,b\n2,b\n")].concat();
            for end in (0..both.len()).filter(|end| *end != first.len()) {
                assert!(text(&both[..end], name).is_err(), "{name} cut off at {end} of {}", both.len());
            }
        }
    }

    #[test]
    fn after_the_last_member_only_zeros_may_follow() {
        let padded = [gzip(b"one\n"), vec![0; 1000]].concat();
        assert_eq!(text(&padded, "x.gz").unwrap(), b"one\n");
        for rest in [&b"x"[..], b"\0\0x", b"\x1f", b"\x1f\x8b\x08", b"\0\x1f\x8b\x08"] {
            assert!(text(&[&gzip(b"one\n"), rest].concat(), "x.gz").is_err(), "{rest:?}");
        }
        assert!(text(&[&zstd(b"one\n")[..], b"x"].concat(), "x.zst").is_err());
    }

    #[test]
    fn a_flipped_bit_is_an_error() {
        let mut packed = gzip(b"id,name\n1,a\n");
        let end = packed.len() - 6;
        packed[end] ^= 1;
        assert!(text(&packed, "x.gz").is_err());
    }
}
