//! Who is signed in: a session is a secret in a browser's cookie, of which only the digest is kept.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::access::Identity;
use crate::access::accounts::{Accounts, User};
use crate::access::secret::digest;

/// How long a session lasts.
pub const LASTS_MS: i64 = 14 * 24 * 3_600_000;
/// Most sessions at a time, and of one user; the oldest go first.
const MOST: usize = 10_000;
const MOST_OF_ONE: usize = 50;

/// One browser that is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub user: String,
    /// That of the user when the session was opened.
    seal: String,
    /// Milliseconds since 1970.
    pub opened_ms: i64,
}

/// Sessions by the digest of their secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sessions(HashMap<String, Session>);

impl Sessions {
    /// Opens a session for a user.
    pub fn open(&mut self, secret: &str, user: &User, now_ms: i64) {
        self.forget_old(now_ms);
        self.make_room(|session| session.user == user.name, MOST_OF_ONE);
        self.make_room(|_| true, MOST);
        let session = Session { user: user.name.clone(), seal: user.seal(), opened_ms: now_ms };
        self.0.insert(digest(secret), session);
    }

    /// Who a session is of, if it holds: not too old, and of a user who is still as they were.
    pub fn find(&self, secret: &str, accounts: &Accounts, now_ms: i64) -> Option<Identity> {
        let session = self.0.get(&digest(secret)).filter(|session| lasts(session, now_ms))?;
        let user = accounts.user(&session.user).filter(|user| user.seal() == session.seal)?;
        Some(user.identity())
    }

    /// Ends one session; whether there was one.
    pub fn end(&mut self, secret: &str) -> bool {
        self.0.remove(&digest(secret)).is_some()
    }

    /// Ends all sessions of a user; how many there were.
    pub fn end_all_of(&mut self, user: &str) -> usize {
        let before = self.0.len();
        self.0.retain(|_, session| session.user != user);
        before - self.0.len()
    }

    /// Those that hold, newest first.
    pub fn list(&self, now_ms: i64) -> Vec<&Session> {
        let mut list: Vec<_> = self.0.values().filter(|session| lasts(session, now_ms)).collect();
        list.sort_by(|a, b| (b.opened_ms, &a.user).cmp(&(a.opened_ms, &b.user)));
        list
    }

    fn forget_old(&mut self, now_ms: i64) {
        self.0.retain(|_, session| lasts(session, now_ms));
    }

    fn make_room(&mut self, counts: impl Fn(&Session) -> bool, most: usize) {
        let mut counted: Vec<_> = self.0.iter().filter(|(_, session)| counts(session)).collect();
        if counted.len() < most {
            return;
        }
        counted.sort_by_key(|(_, session)| session.opened_ms);
        let oldest: Vec<_> =
            counted[..=counted.len() - most].iter().map(|(digest, _)| (*digest).clone()).collect();
        oldest.iter().for_each(|digest| drop(self.0.remove(digest)));
    }
}

fn lasts(session: &Session, now_ms: i64) -> bool {
    (session.opened_ms..session.opened_ms.saturating_add(LASTS_MS)).contains(&now_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    fn accounts() -> Accounts {
        let mut accounts = Accounts::default();
        accounts.set_user("ana", "correct horse", Role::Admin).expect("valid");
        accounts
    }

    #[test]
    fn a_session_holds_until_it_ends() {
        let (mut accounts, mut sessions) = (accounts(), Sessions::default());
        let ana = accounts.user("ana").expect("added").clone();
        sessions.open("secret", &ana, 0);
        assert_eq!(sessions.find("secret", &accounts, LASTS_MS - 1), Some(ana.identity()));
        assert_eq!(sessions.find("secret", &accounts, LASTS_MS), None);
        assert_eq!(sessions.find("other", &accounts, 0), None);
        assert_eq!(sessions.find(&digest("secret"), &accounts, 0), None, "the digest lets nobody in");
        accounts.set_user("ana", "battery staple", Role::Admin).expect("valid");
        assert_eq!(sessions.find("secret", &accounts, 0), None, "another password ends it");
        sessions.open("second", accounts.user("ana").expect("added"), 0);
        assert!(sessions.end("second") && !sessions.end("second"));
        assert_eq!(sessions.find("second", &accounts, 0), None);
    }

    #[test]
    fn a_removed_user_is_out() {
        let (mut accounts, mut sessions) = (accounts(), Sessions::default());
        sessions.open("secret", accounts.user("ana").expect("added"), 0);
        accounts.remove_user("ana");
        assert_eq!(sessions.find("secret", &accounts, 0), None);
    }

    #[test]
    fn the_oldest_sessions_make_room() {
        let (accounts, mut sessions) = (accounts(), Sessions::default());
        let ana = accounts.user("ana").expect("added");
        for at in 0..=MOST_OF_ONE as i64 {
            sessions.open(&at.to_string(), ana, at);
        }
        assert_eq!(sessions.list(99).len(), MOST_OF_ONE);
        assert_eq!(sessions.find("0", &accounts, 99), None);
        assert!(sessions.find("1", &accounts, 99).is_some());
        assert_eq!(sessions.end_all_of("ana"), MOST_OF_ONE);
    }
}
