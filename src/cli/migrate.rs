//! `migrate`: the state tables, created or updated.

use crate::cli::app::App;
use crate::cli::args::Migrate;
use crate::cli::failure::Failure;
use crate::db::migrate;
use crate::db::setup;
use crate::db::url::DatabaseUrl;
use crate::exit_code::ExitCode;
use crate::wording::printable;

pub(super) fn migrate(app: &App, args: &Migrate) -> Result<ExitCode, Failure> {
    let database = app.database(1);
    if args.dry_run
        && let DatabaseUrl::Sqlite(path) = database.url().whole()
        && !path.exists()
    {
        let path = printable(&path.display().to_string(), usize::MAX);
        return super::print(&format!("would create {path} and its state tables\n"));
    }
    let mut conn = database.connect()?;
    let examined = setup::require(&mut conn)?;
    for note in &examined.notes {
        log::warn!("database: {note}");
    }
    let (names, done) =
        if args.dry_run { (examined.pending, "would apply") } else { (migrate::migrate(&mut conn)?, "applied") };
    if names.is_empty() {
        return super::print("the state tables are up to date\n");
    }
    names.iter().try_for_each(|name| super::print(&format!("{done} {name}\n")).map(drop))?;
    Ok(ExitCode::Success)
}
