//! Where the database's URL comes from.

use super::{Folder, GOOD};
use crate::db::url::DatabaseUrl;

#[test]
fn the_url_comes_from_the_first_place_that_has_one() {
    let main = "[database]\nurl = \"sqlite:main.db\"\nurl_file = \"url\"";
    let folder = Folder::new(main).write("url", "sqlite:file.db\n").write("datasets/a.toml", GOOD);
    let url = |folder: &Folder, variables: [(&str, &str); 3]| folder.load(variables).unwrap().settings.database.url;
    let sqlite = |path: &str| DatabaseUrl::Sqlite(path.into());
    let (ours, theirs, state) = ("DAYFILL__DATABASE__URL", "ALGOLIA_DB_URI", "STATE_DIRECTORY");
    assert_eq!(url(&folder, [(ours, "sqlite:1.db"), (theirs, "sqlite:2.db"), (state, "")]), sqlite("1.db"));
    assert_eq!(url(&folder, [(ours, ""), (theirs, "sqlite:2.db"), (state, "/s")]), sqlite("/s/2.db"));
    assert_eq!(url(&folder, [(ours, ""), (theirs, ""), (state, "/s:/t")]), sqlite("/s/file.db"));
    let folder = Folder::new("[database]\nurl = \"sqlite:main.db\"").write("datasets/a.toml", GOOD);
    assert_eq!(url(&folder, [(ours, ""), (theirs, ""), (state, "/s")]), sqlite("/s/main.db"));
    let folder = Folder::new("").write("datasets/a.toml", GOOD);
    assert_eq!(url(&folder, [(ours, ""), (theirs, ""), (state, "/s")]), sqlite("/s/dayfill.db"));
    // Without a state directory what a file says, and the default, lie beside the main file.
    let beside = |folder: &Folder, name: &str| DatabaseUrl::Sqlite(folder.0.path().join(name));
    let nothing = [(ours, ""), (theirs, ""), (state, "")];
    assert_eq!(url(&folder, nothing), beside(&folder, "dayfill.db"));
    assert_eq!(url(&folder, [(ours, ""), (theirs, "sqlite:2.db"), (state, "")]), sqlite("2.db"));
    for (main, name) in
        [("[database]\nurl = \"sqlite:main.db\"", "main.db"), ("[database]\nurl_file = \"url\"", "file.db")]
    {
        let folder = Folder::new(main).write("url", "sqlite:file.db\n").write("datasets/a.toml", GOOD);
        assert_eq!(url(&folder, nothing), beside(&folder, name));
    }
    let shown = folder.load([(theirs, "postgresql+psycopg2://u:secret@h/d")]).unwrap().settings;
    assert_eq!(shown.database.url.to_string(), "postgres://u:***@h/d");
    assert!(!format!("{shown:?}").contains("secret"));
}

#[test]
fn the_databases_url_tells_where_it_was_set() {
    let main = "[database]\nurl = \"postgres://u:secret@h/d\"";
    let in_file = Folder::new(main).write("datasets/a.toml", GOOD);
    let elsewhere =
        Folder::new(&format!("{main}\nurl_file = \"url\"")).write("url", "sqlite:a.db").write("datasets/a.toml", GOOD);
    let (ours, theirs) = ("DAYFILL__DATABASE__URL", "ALGOLIA_DB_URI");
    let beside = format!("sqlite:{}", elsewhere.0.path().join("a.db").display());
    for (folder, variables, shown, origin) in [
        (&in_file, [(ours, ""), (theirs, "")], "postgres://u:***@h/d", "dayfill.toml"),
        (&in_file, [(ours, ""), (theirs, "sqlite:b.db")], "sqlite:b.db", theirs),
        (&elsewhere, [(ours, ""), (theirs, "")], &beside, "url"),
        (&elsewhere, [(ours, "sqlite:c.db"), (theirs, "sqlite:b.db")], "sqlite:c.db", ours),
    ] {
        let keys = folder.load(variables).unwrap().keys;
        let url = &keys["database.url"];
        let told = url.origin.replace(&format!("{}/", folder.0.path().display()), "");
        assert_eq!((url.shown.as_str(), told.as_str()), (shown, origin));
    }
}

#[test]
fn a_url_file_may_be_a_credential() {
    let folder = Folder::new("[database]\nurl_file = \"url\"").write("datasets/a.toml", GOOD);
    assert!(
        folder.problems([]).starts_with("dayfill.toml: database.url_file = \"url\": is not there (looked for url)")
    );
    let folder = folder.write("credentials/url", "sqlite:/c.db\r\n");
    let credentials = folder.0.path().join("credentials");
    let found = folder.load([("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())]).unwrap();
    assert_eq!(found.settings.database.url, DatabaseUrl::Sqlite("/c.db".into()));
    let mixed_up = Folder::new("[database]\nurl_file = \"postgres://u:hunter22\"").write("datasets/a.toml", GOOD);
    let expected = "dayfill.toml: database.url_file = ***: is a URL: write it as url, or into the file that this names";
    assert_eq!(mixed_up.problems([]), expected);
    let folder = folder.write("url", "postgres://u:hunter22");
    assert_eq!(folder.problems([]), "url: database.url = ***: has a port that is not a number from 1 to 65535");
}

#[test]
fn the_schema_of_our_own_tables_is_for_postgresql() {
    let folder = Folder::new("[database]\nurl = \"postgres:///shop\"\nschema = \"etl\"").write("datasets/a.toml", GOOD);
    let config = folder.load([]).unwrap();
    let DatabaseUrl::Postgres(server) = &config.settings.database.url else { panic!("not PostgreSQL") };
    assert_eq!(server.schema().map(crate::column::Identifier::as_str), Some("etl"));
    assert_eq!(config.keys["database.schema"].shown, "\"etl\"");
    for (database, expected) in [
        ("url = \"sqlite:a.db\"\nschema = \"etl\"", "means nothing on SQLite"),
        ("url = \"postgres:///shop\"\nschema = \"pg_etl\"", "begins with pg_"),
        ("url = \"postgres:///shop\"\nschema = \"a b\"", "is not an identifier"),
    ] {
        let folder = Folder::new(&format!("[database]\n{database}")).write("datasets/a.toml", GOOD);
        let problems = folder.problems([]);
        assert!(problems.contains("database.schema") && problems.contains(expected), "{problems}");
    }
}
