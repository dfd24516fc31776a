//! `web`: the users and tokens of the daemon's page.

use std::io::Write;
use std::path::Path;

use crate::cli::app::App;
use crate::cli::args::{AddToken, AddUser, RoleName, ScopeName, Web};
use crate::cli::failure::Failure;
use crate::cli::password;
use crate::cli::table::Table;
use crate::exit_code::ExitCode;
use crate::web::auth::{AuthError, Role, is_name, users_file};

pub(super) fn web(app: &App, command: &Web) -> Result<ExitCode, Failure> {
    let Some(path) = app.config.settings.web.auth.as_deref() else {
        let message =
            "there is no file for users: name one in the configuration, such as auth = \"users.toml\" in [web]";
        return Err(Failure::new(ExitCode::Configuration, message));
    };
    match command {
        Web::AddUser(args) => add_user(path, args),
        Web::RemoveUser(args) => removed("user", &args.name, users_file::remove_user(path, &args.name)?),
        Web::AddToken(args) => add_token(path, args),
        Web::RemoveToken(args) => removed("token", &args.name, users_file::remove_token(path, &args.name)?),
        Web::Users => list(path),
    }
}

fn add_user(path: &Path, AddUser { name, role, generate, first }: &AddUser) -> Result<ExitCode, Failure> {
    refuse_no_name(name)?;
    // What is wrong with the file is told before a password is asked for.
    let users = users_file::read_or_empty(path)?;
    if *first && !users.users().is_empty() {
        return Ok(ExitCode::Success);
    }
    let role = Role::from(*role);
    if *generate {
        let password = users_file::new_password()?;
        users_file::put_user(path, name, role, &password)?;
        writeln!(anstream::stderr(), "this is shown once; only its hash is kept")?;
        return super::print(&format!("{name} ({role}): password {password}\n"));
    }
    let password = password::read(name)?;
    let is_new = users_file::put_user(path, name, role, &password)?;
    let what = if is_new { "added" } else { "has a new password, and whoever was logged in by the old one is out" };
    super::print(&format!("{name} ({role}): {what}\n"))
}

fn add_token(path: &Path, AddToken { name, scope }: &AddToken) -> Result<ExitCode, Failure> {
    refuse_no_name(name)?;
    let Some(token) = users_file::add_token(path, name, Role::from(*scope))? else {
        let message = format!("there is a token {name:?} already: remove it, or take another name");
        return Err(Failure::new(ExitCode::Failed, message));
    };
    // Alone on standard output, for scripts.
    super::print(&format!("{token}\n"))?;
    // For a person; one who does not look is not told.
    let _ = writeln!(anstream::stderr(), "this is shown once; only its hash is kept");
    Ok(ExitCode::Success)
}

fn removed(what: &str, name: &str, removed: bool) -> Result<ExitCode, Failure> {
    if removed {
        super::print(&format!("{name}: removed\n"))
    } else {
        Err(Failure::new(ExitCode::Failed, format!("there is no {what} {name:?}")))
    }
}

fn list(path: &Path) -> Result<ExitCode, Failure> {
    let all = users_file::read_or_empty(path)?;
    let mut table = Table::new(&["NAME", "KIND", "ROLE"]);
    for user in all.users() {
        table.row(&[user.name.clone(), "user".to_owned(), user.role.name().to_owned()]);
    }
    for token in all.tokens() {
        table.row(&[token.name.clone(), "token".to_owned(), token.scope.scope().to_owned()]);
    }
    if table.is_empty() {
        return super::print(&format!("nobody yet: {}\n", path.display()));
    }
    super::print_coloured(&table.render())
}

fn refuse_no_name(name: &str) -> Result<(), Failure> {
    if is_name(name) {
        return Ok(());
    }
    let message = format!("{name:?} is not a name (letters, digits, and . _ @ -, at most 64)");
    Err(Failure::new(ExitCode::Usage, message))
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        let code = match error {
            AuthError::OthersRead { .. } | AuthError::Wrong { .. } => ExitCode::Configuration,
            _ => ExitCode::Failed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Reader => Self::Reader,
            RoleName::Operator => Self::Operator,
        }
    }
}

impl From<ScopeName> for Role {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Read => Self::Reader,
            ScopeName::Write => Self::Operator,
        }
    }
}
