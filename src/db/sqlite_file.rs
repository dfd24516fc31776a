//! Why the file of a SQLite database cannot be opened or written: SQLite's own words name neither file nor reason.
//!
//! Nothing here opens the file: closing it again would drop the locks that SQLite holds on it for this process
//! (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).

use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

/// What keeps this process from making or writing the file, and what to do; `None` where nothing is seen to.
#[must_use]
pub fn unwritable(path: &Path) -> Option<String> {
    if path == Path::new(":memory:") {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = folder.display();
    match folder.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some(format!("the folder {shown} does not exist: create it, or name another file in database.url"));
        }
        Err(error) => return Some(format!("the folder {shown}: {}", error.kind())),
        Ok(there) if !there.is_dir() => {
            return Some(format!("{shown} is no folder: name another file in database.url"));
        }
        Ok(_) => {}
    }
    if path.is_dir() {
        return Some("it is a folder: name a file in database.url".to_owned());
    }
    if path.exists()
        && let Err(error) = access(path, Access::READ_OK | Access::WRITE_OK)
    {
        return Some(format!(
            "the user that runs dayfill may not read and write it ({}): give that user the right, or name another file \
             in database.url",
            io::Error::from(error).kind()
        ));
    }
    let error = access(folder, Access::WRITE_OK | Access::EXEC_OK).err()?;
    Some(format!(
        "the user that runs dayfill may not create files in the folder {shown} ({}), where SQLite and dayfill keep more \
         beside it: give that user the right, or name another file in database.url",
        io::Error::from(error).kind()
    ))
}

/// SQLite's words about the file, with the file's name, the reason and what to do.
pub(super) fn explained(path: &Path, words: &str) -> String {
    let shown = path.display();
    if is_no_database(words) {
        return format!("{shown}: {words}: name another file in database.url, or restore it from a backup");
    }
    match unwritable(path) {
        Some(why) if is_about_rights(words) => format!("{shown}: {words}: {why}"),
        _ => format!("{shown}: {words}"),
    }
}

/// True for words that say that nothing can be read from the file.
pub(super) fn is_hopeless(words: &str) -> bool {
    is_no_database(words) || is_about_rights(words)
}

fn is_no_database(words: &str) -> bool {
    words.contains("file is not a database")
}

fn is_about_rights(words: &str) -> bool {
    // A file in WAL mode is read by way of files beside it, which may have to be made.
    words.contains("unable to open database file") || words.contains("readonly database")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_file_from_being_written_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "no database").unwrap();
        for fine in [path("new.db"), path("file"), "new.db".into(), ":memory:".into()] {
            assert_eq!(unwritable(&fine), None, "{}", fine.display());
        }
        let missing = format!("the folder {} does not exist: create it", path("a/b").display());
        let no_folder = format!("{} is no folder", path("file").display());
        for (path, words) in [
            (path("a/b/x.db"), missing.as_str()),
            (path("file/x.db"), &no_folder),
            (folder.path().to_owned(), "it is a folder"),
        ] {
            let why = unwritable(&path).unwrap();
            assert!(why.starts_with(words) && why.ends_with("in database.url"), "{why}");
        }
    }
}
