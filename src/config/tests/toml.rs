//! Files that are not TOML.

use super::Folder;

#[test]
fn a_syntax_error_names_file_and_line_and_shows_nothing() {
    let folder = Folder::new("[database]\nurl = \"postgres://u:hunter22@h\n").write("datasets/a.toml", "a = = 1");
    let problems = folder.problems([]);
    let lines: Vec<&str> = problems.lines().collect();
    assert!(lines[0].starts_with("dayfill.toml: line 2, column "), "{problems}");
    assert!(lines[0].contains("is not TOML (") && !problems.contains("hunter22"), "{problems}");
    assert!(lines[1].starts_with("datasets/a.toml: line 1, column 5: is not TOML ("), "{problems}");
    assert_eq!(lines.len(), 2);
}
