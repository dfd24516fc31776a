//! The users and tokens of one file, as values. Reading and writing it is left to `users_file`.

use std::fmt::Write as _;

use serde::Deserialize;

use super::identity::Role;
use super::password;
use super::token::TokenHash;

/// The first lines of a file that is written here.
const HEAD: &str = "\
# Users and tokens of dayfill's web UI, written by `dayfill web add-user`, `dayfill web add-token` and the like.
# The daemon reads it again when it changes.
";

/// What a name may be made of, and how long it may be.
const NAME: &str = "letters, digits, and . _ @ -, at most 64";

/// A person who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The Argon2id hash of their password.
    pub(super) password: String,
}

/// A program that may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The token's name.
    pub name: String,
    /// What it is good for.
    pub scope: Role,
    pub(super) hash: TokenHash,
}

/// All users and tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    users: Vec<User>,
    tokens: Vec<Token>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersFile {
    #[serde(default)]
    users: Vec<UserEntry>,
    #[serde(default)]
    tokens: Vec<TokenEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserEntry {
    name: String,
    role: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenEntry {
    name: String,
    scope: String,
    sha256: String,
}

/// True for what may be the name of a user or token.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(letter)
}

impl Users {
    /// Reads a file's text; what is wrong otherwise, without a word of what stands there.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let written: UsersFile = toml::from_str(text).map_err(|error| {
            // The parser's own words repeat values, and a value may be a password that was written here by mistake.
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            format!(
                "line {line}: expected [[users]] with name, role and password, and [[tokens]] with \
                 name, scope and sha256, all of them texts"
            )
        })?;
        let mut all = Self::default();
        for (number, user) in written.users.into_iter().enumerate() {
            let wrong = |what: &str| format!("users[{number}].{what}");
            if !is_name(&user.name) {
                return Err(wrong(&format!("name: is not a name ({NAME})")));
            }
            if all.users.iter().any(|other| other.name == user.name) {
                return Err(wrong("name: is used twice"));
            }
            if !password::is_hash(&user.password) {
                return Err(wrong("password: is not an Argon2id hash: `dayfill web add-user` makes one"));
            }
            let role = Role::by_name(&user.role).ok_or_else(|| wrong("role: is neither reader nor operator"))?;
            all.users.push(User { name: user.name, role, password: user.password });
        }
        for (number, token) in written.tokens.into_iter().enumerate() {
            let wrong = |what: &str| format!("tokens[{number}].{what}");
            if !is_name(&token.name) {
                return Err(wrong(&format!("name: is not a name ({NAME})")));
            }
            if all.tokens.iter().any(|other| other.name == token.name) {
                return Err(wrong("name: is used twice"));
            }
            let scope = Role::by_scope(&token.scope).ok_or_else(|| wrong("scope: is neither read nor write"))?;
            let hash = TokenHash::parse(&token.sha256).ok_or_else(|| wrong("sha256: is not 64 hexadecimal digits"))?;
            all.tokens.push(Token { name: token.name, scope, hash });
        }
        Ok(all)
    }

    /// The file's text. Nothing in it wants escaping: names, hashes and roles hold neither quotes nor backslashes.
    pub(super) fn to_toml(&self) -> String {
        let mut text = HEAD.to_owned();
        for User { name, role, password } in &self.users {
            let _ = write!(text, "\n[[users]]\nname = \"{name}\"\nrole = \"{role}\"\npassword = \"{password}\"\n");
        }
        for Token { name, scope, hash } in &self.tokens {
            let (scope, hash) = (scope.scope(), hash.to_hex());
            let _ = write!(text, "\n[[tokens]]\nname = \"{name}\"\nscope = \"{scope}\"\nsha256 = \"{hash}\"\n");
        }
        text
    }

    /// The users, in the order of the file.
    #[must_use]
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// The tokens, in the order of the file.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub(super) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The token that was presented. All are compared, so that neither place nor likeness shows in the time.
    pub(super) fn token(&self, presented: &str) -> Option<&Token> {
        let hash = TokenHash::of(presented);
        self.tokens.iter().fold(None, |found, token| if token.hash.is(&hash) { Some(token) } else { found })
    }

    /// Gives a user a role and a password; true when there was no such user before.
    pub(super) fn put_user(&mut self, name: &str, role: Role, password: String) -> bool {
        if let Some(user) = self.users.iter_mut().find(|user| user.name == name) {
            (user.role, user.password) = (role, password);
            return false;
        }
        self.users.push(User { name: name.to_owned(), role, password });
        true
    }

    /// Adds a token; false when there is one of that name.
    pub(super) fn add_token(&mut self, name: &str, scope: Role, hash: TokenHash) -> bool {
        let is_new = !self.tokens.iter().any(|token| token.name == name);
        if is_new {
            self.tokens.push(Token { name: name.to_owned(), scope, hash });
        }
        is_new
    }

    /// Removes a user; false when there is none.
    pub(super) fn remove_user(&mut self, name: &str) -> bool {
        let before = self.users.len();
        self.users.retain(|user| user.name != name);
        self.users.len() < before
    }

    /// Removes a token; false when there is none.
    pub(super) fn remove_token(&mut self, name: &str) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.name != name);
        self.tokens.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash of nothing anybody knows.
    const HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZWJvZHlzb21lYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn what_is_written_is_read_again() {
        let mut users = Users::default();
        assert_eq!(Users::parse(&users.to_toml()), Ok(users.clone()), "nobody is somebody too");
        assert!(users.put_user("ada", Role::Operator, HASH.to_owned()));
        assert!(users.put_user("b.c@example.com", Role::Reader, HASH.to_owned()));
        assert!(!users.put_user("ada", Role::Reader, HASH.to_owned()));
        assert!(users.add_token("ci", Role::Operator, TokenHash::of("dayfill_x")));
        assert!(!users.add_token("ci", Role::Reader, TokenHash::of("dayfill_y")));
        assert!(users.add_token("grafana", Role::Reader, TokenHash::of("dayfill_y")));
        assert_eq!(Users::parse(&users.to_toml()), Ok(users.clone()));
        assert_eq!(users.user("ada").map(|user| user.role), Some(Role::Reader));
        assert_eq!(users.token("dayfill_x").map(|token| token.name.as_str()), Some("ci"));
        assert_eq!(users.token("dayfill_y").map(|token| token.name.as_str()), Some("grafana"));
        assert_eq!(users.token("dayfill_z"), None);
        assert!(users.remove_user("ada") && !users.remove_user("ada"));
        assert!(users.remove_token("ci") && !users.remove_token("ci"));
        assert_eq!((users.user("ada"), users.token("dayfill_x")), (None, None));
        assert_eq!(Users::parse(&users.to_toml()), Ok(users));
    }

    #[test]
    fn a_wrong_file_is_told_by_place_and_not_by_value() {
        let user = |name: &str, role: &str, password: &str| {
            format!("[[users]]\nname = \"{name}\"\nrole = \"{role}\"\npassword = \"{password}\"\n")
        };
        let token =
            |scope: &str, hash: &str| format!("[[tokens]]\nname = \"t\"\nscope = \"{scope}\"\nsha256 = \"{hash}\"\n");
        let hash = TokenHash::of("x").to_hex();
        let shape = "expected [[users]] with ";
        for (text, expected) in [
            ("[[users]\n".to_owned(), format!("line 1: {shape}")),
            ("\n[[users]]\nname = \"a\"\npassword = hunter22\n".to_owned(), format!("line 4: {shape}")),
            ("[[users]]\nname = \"a\"\nrole = \"reader\"\npassword = 8822\n".to_owned(), format!("line 4: {shape}")),
            (user("a", "reader", HASH) + "hunter22 = 1\n", format!("line 5: {shape}")),
            ("[[users]]\nname = \"a\"\n".to_owned(), format!("line 1: {shape}")),
            (user("a b", "reader", HASH), "users[0].name: is not a name (".to_owned()),
            (user("", "reader", HASH), "users[0].name: is not a name (".to_owned()),
            (user("a", "reader", "hunter22"), "users[0].password: is not an Argon2id hash".to_owned()),
            (user("a", "admin", HASH), "users[0].role: is neither reader nor operator".to_owned()),
            (user("a", "reader", HASH) + &user("a", "reader", HASH), "users[1].name: is used twice".to_owned()),
            (token("all", &hash), "tokens[0].scope: is neither read nor write".to_owned()),
            (token("read", "hunter22"), "tokens[0].sha256: is not 64 hexadecimal digits".to_owned()),
            (token("read", &hash) + &token("read", &hash), "tokens[1].name: is used twice".to_owned()),
        ] {
            let why = Users::parse(&text).unwrap_err();
            assert!(why.starts_with(&expected), "{text}: {why}");
            assert!(!why.contains("hunter22") && !why.contains("8822"), "{why}");
        }
    }
}
