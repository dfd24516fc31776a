//! Who asks, and what they may do.

use std::fmt;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything.
    Reader,
    /// Look at everything and change it.
    Operator,
}

/// A user's roles and a token's scopes, by name.
const NAMES: [(Role, &str, &str); 2] = [(Role::Reader, "reader", "read"), (Role::Operator, "operator", "write")];

impl Role {
    /// The role of a user, as it is written: `reader` or `operator`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, role, _)| *role == name).map(|(role, ..)| *role)
    }

    /// The role that a token's scope stands for, as it is written: `read` or `write`.
    #[must_use]
    pub fn by_scope(scope: &str) -> Option<Self> {
        NAMES.iter().find(|(.., name)| *name == scope).map(|(role, ..)| *role)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// Its name as the scope of a token.
    #[must_use]
    pub fn scope(self) -> &'static str {
        NAMES[self as usize].2
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How it is known who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthMethod {
    /// By the cookie of a session, whose random id this is.
    Session(String),
    /// By a token in the header `Authorization`.
    Token,
    /// It is not: there are no users, and the client is on this machine.
    Local,
}

/// Who asks; among the extensions of every request that came from somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name of the user or token; `local` where there are none.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How it is known.
    pub how: AuthMethod,
}

impl Identity {
    /// Whoever is on this machine, where there are no users.
    pub(in crate::web) fn local() -> Self {
        Self { name: "local".to_owned(), role: Role::Operator, how: AuthMethod::Local }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for role in [Role::Reader, Role::Operator] {
            assert_eq!((Role::by_name(role.name()), Role::by_scope(role.scope())), (Some(role), Some(role)));
        }
        assert_eq!((Role::by_name("read"), Role::by_scope("operator"), Role::by_name("")), (None, None, None));
        assert!(Role::Reader < Role::Operator);
    }
}
