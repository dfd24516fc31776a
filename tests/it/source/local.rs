//! Files of this machine.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::time::SystemTime;

use dayfill::dataset::Limits;
use dayfill::source::{SourceError, open_file};
use tempfile::TempDir;

use super::*;
use crate::support::http::{Server, whole};
use crate::support::with_window;

fn at(folder: &TempDir, name: &str) -> SourceSpec {
    spec(&format!("{}/{name}", folder.path().display()))
}

fn write(folder: &TempDir, name: &str, content: &[u8]) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn a_file_is_read_whole_and_hashed_as_sha256sum_does() {
    let folder = TempDir::new().unwrap();
    let content = csv(50_000);
    write(&folder, "2019-04-01.csv", &content);
    let asked = Asked::new(&at(&folder, "{day}.csv"));
    let read = asked.read().unwrap();
    assert_eq!(read.text, content);
    assert_eq!(read.hash.as_str(), sha256(&content));
    assert_eq!(read.info.bytes, Some(content.len() as u64));
    assert_eq!(read.info.url, format!("{}/2019-04-01.csv", folder.path().display()));
    assert_eq!(asked.look().unwrap(), FileStatus::File(read.info));
}

#[test]
fn a_hash_is_complete_even_when_the_reader_stops_early() {
    let folder = TempDir::new().unwrap();
    for content in [csv(50_000), gzip(&csv(50_000)), zstd::encode_all(&csv(50_000)[..], 1).unwrap(), Vec::new()] {
        write(&folder, "2019-04-01.csv", &content);
        let file = Asked::new(&at(&folder, "{day}.csv")).file();
        assert_eq!(file.finish().unwrap().as_str(), sha256(&content));
    }
}

#[test]
fn names_are_taken_letter_for_letter() {
    let folder = TempDir::new().unwrap();
    for name in ["a b/{day}.csv", "100%/{day:%Y}%20+ü#?.csv", "x/../x/./{day}.csv"] {
        let spec = at(&folder, name);
        fs::create_dir_all(folder.path().join("x")).unwrap();
        write(&folder, &UrlTemplate::parse(name).unwrap().of(DAY.parse().unwrap()), b"id\n");
        assert_eq!(Asked::new(&spec).read().unwrap().text, b"id\n", "{name}");
    }
    // In a URL the usual escapes stand for themselves.
    write(&folder, "a b/2019-04-01.csv", b"url\n");
    let url = format!("file://{}/a%20b/{{day}}.csv", folder.path().display());
    assert_eq!(Asked::new(&spec(&url)).read().unwrap().text, b"url\n");
}

#[test]
fn a_missing_file_is_waited_for_and_a_missing_folder_is_named() {
    let folder = TempDir::new().unwrap();
    assert_eq!(Asked::new(&at(&folder, "{day}.csv")).not_there(), "no such file");
    // One whose name holds the day may come with its day, also where many days share it.
    for (template, name) in [("{day}/orders.csv", "2019-04-01"), ("{day:%a}/orders.csv", "Mon")] {
        let why = Asked::new(&at(&folder, template)).not_there();
        assert_has(&why, &["the folder", &format!("{name} does not exist")]);
    }
    // Without that of all days nothing can be told of any.
    let asked = Asked::new(&at(&folder, "inbox/{day}.csv"));
    assert_has(&asked.error(), &["the folder", "inbox does not exist; check source.url, or mount it"]);
    assert!(asked.look().unwrap_err().is_temporary());
    let error = open_file(&folder.path().join("sample.csv"), 23).unwrap_err().to_string();
    assert_has(&error, &["sample.csv", "no such file"]);
}

#[test]
fn what_is_no_file_is_an_error() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join(DAY)).unwrap();
    let asked = Asked::new(&at(&folder, "{day}"));
    assert_has(&asked.error(), &[DAY, "is a folder, not a file"]);
    assert_has(&asked.look().unwrap_err().to_string(), &["is a folder"]);
    assert_has(&open_file(Path::new("/dev/null"), 23).unwrap_err().to_string(), &["/dev/null is a device or pipe"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_an_error() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("2019-04-01.csv");
    symlink(&path, &path).unwrap();
    assert_has(&Asked::new(&at(&folder, "{day}.csv")).error(), &["2019-04-01.csv: ", "symbolic links"]);

    fs::remove_file(&path).unwrap();
    write(&folder, "2019-04-01.csv", b"id\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    // Root reads it all the same.
    if File::open(&path).is_err() {
        assert_has(&Asked::new(&at(&folder, "{day}.csv")).error(), &["Permission denied", "let the user that dayfill"]);
    }
}

#[test]
fn a_file_must_settle_before_it_is_taken() {
    let folder = TempDir::new().unwrap();
    write(&folder, "2019-04-01.csv", b"id\n");
    let mut spec = at(&folder, "{day}.csv");
    spec.settle = Duration::from_mins(10);
    let changed = |at| {
        let file = OpenOptions::new().write(true).open(folder.path().join("2019-04-01.csv")).unwrap();
        file.set_modified(at).unwrap();
    };
    let asked = Asked::new(&spec);
    changed(SystemTime::now() - Duration::from_mins(5));
    let OpenedFile::NotThere { why, .. } = asked.open().unwrap() else { panic!("taken") };
    assert_has(&why, &["changed 300 s ago; settle is 600 s"]);
    assert!(matches!(asked.look().unwrap(), FileStatus::NotThere { .. }));
    changed(SystemTime::now() + Duration::from_hours(1));
    let OpenedFile::NotThere { why, .. } = asked.open().unwrap() else { panic!("taken") };
    assert_has(&why, &["in the future; settle is"]);
    changed(SystemTime::now() - Duration::from_mins(11));
    assert_eq!(asked.read().unwrap().text, b"id\n");
}

/// What a writer does to a file of which the content is known.
type Change = fn(&Path, &[u8]);

#[test]
fn a_file_that_is_changed_while_it_is_read_is_an_error() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("2019-04-01.csv");
    let content = csv(50_000);
    let asked = Asked::new(&at(&folder, "{day}.csv"));
    let cases: [(Change, &str); 3] = [
        (
            |path, _| OpenOptions::new().append(true).open(path).unwrap().write_all(b"1,a\n").unwrap(),
            "the file was cut off or changed",
        ),
        (
            |path, _| OpenOptions::new().write(true).open(path).unwrap().set_len(9).unwrap(),
            "was changed while it was read",
        ),
        (
            |path, content| {
                let mut file = OpenOptions::new().write(true).open(path).unwrap();
                file.write_all(&content[..10]).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            },
            "was changed while it was read",
        ),
    ];
    for (change, message) in cases {
        write(&folder, "2019-04-01.csv", &content);
        let mut file = asked.file();
        file.read_exact(&mut [0; 1000]).unwrap();
        change(&path, &content);
        assert_has(&read(file).unwrap_err().to_string(), &["2019-04-01.csv: ", message]);
    }
    // A file that another takes the name of is read as it was.
    write(&folder, "2019-04-01.csv", &content);
    let file = asked.file();
    write(&folder, "new.csv", b"other");
    fs::rename(folder.path().join("new.csv"), &path).unwrap();
    assert_eq!(read(file).unwrap().text, content);
}

#[test]
fn compressed_files_are_recognised_by_name_or_content() {
    let folder = TempDir::new().unwrap();
    let text = csv(5_000);
    let members: Vec<u8> = text.chunks(7_000).flat_map(gzip).collect();
    let frames: Vec<u8> = text.chunks(7_000).flat_map(|chunk| zstd::encode_all(chunk, 3).unwrap()).collect();
    for stored in [&members, &frames, &text] {
        for name in ["{day}.csv", "{day}.csv.gz", "{day}.csv.zst"] {
            let spec = at(&folder, name);
            let path = spec.url.of(DAY.parse().unwrap());
            fs::write(&path, stored).unwrap();
            let read = Asked::new(&spec).read().unwrap();
            assert_eq!(read.text, text, "{name}");
            assert_eq!(read.hash.as_str(), sha256(stored), "{name}");
            assert_eq!(self::read(open_file(Path::new(&path), 23).unwrap()).unwrap(), read);
        }
    }
}

#[test]
fn a_compressed_file_cut_off_at_any_byte_is_an_error() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("2019-04-01.csv");
    for (stored, extension) in [(gzip(&csv(20)), "gz"), (zstd::encode_all(&csv(20)[..], 3).unwrap(), "zst")] {
        let path = path.with_extension(extension);
        for end in 0..stored.len() {
            fs::write(&path, &stored[..end]).unwrap();
            let error = open_file(&path, 23).and_then(read).unwrap_err().to_string();
            assert_has(&error, &["2019-04-01.", "broken or cut-off"]);
        }
    }
}

fn zstd_of(text: &mut dyn std::io::Read) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

/// What reading a file within limits ends with.
fn refused(folder: &TempDir, name: &str, limits: Limits) -> Option<SourceError> {
    let mut file = Asked::new(&at(folder, name)).file().within(limits);
    let error = std::io::copy(&mut file, &mut std::io::sink()).err()?;
    let error = error.downcast::<SourceError>().unwrap();
    assert!(error.refuses(), "{error}");
    Some(error)
}

#[test]
fn a_small_file_that_becomes_a_huge_one_is_refused() {
    let folder = TempDir::new().unwrap();
    // 32 GiB of zstd, of which no more is read than it takes to tell: many frames, each a mebibyte of one letter. What the
    // limits say to other sizes is tested where they are compared.
    let content = zstd_of(&mut std::io::repeat(b'a').take(1 << 20)).repeat(32 << 10);
    assert!(content.len() < 8_000_000, "{}", content.len());
    write(&folder, "2019-04-01.csv", &content);
    let error = refused(&folder, "{day}.csv", Limits::default()).unwrap().to_string();
    assert_has(&error, &["grows to more than 500 times its stored size", "raise limits.max_ratio"]);
}

#[test]
fn a_file_that_holds_more_than_it_may_is_refused_compressed_or_not() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { max_bytes: 1000, ..Limits::default() };
    for content in [vec![b'a'; 1001], gzip(&[b'a'; 1001]), zstd_of(&mut &[b'a'; 1001][..])] {
        write(&folder, "2019-04-01.csv", &content);
        let error = refused(&folder, "{day}.csv", limits).unwrap().to_string();
        assert_has(&error, &["holds more than 1000 bytes, the limit", "raise limits.max_bytes"]);
        let raised = Limits { max_bytes: 1001, ..limits };
        assert!(refused(&folder, "{day}.csv", raised).is_none());
    }
}

#[test]
fn a_zstd_window_has_a_bound_that_can_be_raised() {
    let folder = TempDir::new().unwrap();
    let stored = with_window(27, &csv(10_000));
    write(&folder, "2019-04-01.csv", &stored);
    let error = refused(&folder, "{day}.csv", Limits::default()).unwrap().to_string();
    assert_has(&error, &["its zstd window is larger than 8388608 bytes", "set source.zstd_window_log above 23"]);
    let raised = SourceSpec { zstd_window_log: 27, ..at(&folder, "{day}.csv") };
    assert_eq!(Asked::new(&raised).read().unwrap().text, csv(10_000));
    // The same from a server.
    let server = Server::start(move |_| {
        let answer = whole(stored.clone());
        async move { answer }
    });
    let url = format!("{}/{{day}}.csv", server.url());
    assert_has(&Asked::new(&spec(&url)).error(), &["its zstd window is larger than 8388608 bytes"]);
    let raised = SourceSpec { zstd_window_log: 27, ..spec(&url) };
    assert_eq!(Asked::new(&raised).read().unwrap().text, csv(10_000));
}
