//! Who may do what: users with passwords, tokens for scripts, sessions of browsers.
//!
//! [`accounts`] is the file of users and tokens, [`sessions`] who is signed in, [`attempts`] slows down whoever
//! guesses. Passwords are kept as Argon2id hashes. Tokens and sessions are 256 random bits, which nobody guesses
//! however fast the hash is, and they come with every request: of these, SHA-256 is kept.
//!
//! To add something that not everyone may do: a variant of [`Role`] if none fits, and its place in
//! `serve/gate.rs`.

pub mod accounts;
pub mod attempts;
pub mod secret;
pub mod sessions;

use serde::{Deserialize, Serialize};

/// What someone may do; each may also do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See pages, figures, exports and live updates.
    Viewer,
    /// Report operations.
    Operator,
    /// See and end sessions.
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    pub fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    pub fn of(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// Someone who has shown who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of a user, or of a token.
    pub name: String,
    pub role: Role,
}
