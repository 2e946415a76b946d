//! Who is let in: the file of users and tokens as it is now, sessions, and how often someone has failed.
//!
//! Where there is no user and no token, nobody is asked. Once there was one, the daemon asks for as long as it
//! runs, even if the file is damaged or gone.
//!
//! A thread of its own reads the file and tells sockets of changes; who asks waits for no disk.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, net::IpAddr, thread};

use anyhow::{Context, Result};
use chrono::Utc;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

use crate::access::accounts::{Accounts, FILE, verify, write_private};
use crate::access::attempts::Attempts;
use crate::access::sessions::{Session, Sessions};
use crate::access::{Identity, secret};
use crate::model::notes::shorten;
use crate::serve::limits::Crowd;
use crate::serve::watch::State;

/// How old what is known of the file may be: someone removed is out after this long.
const LOOK: Duration = Duration::from_millis(500);
/// Passwords checked at a time: each takes 19 MB.
const CHECKED_AT_ONCE: usize = 2;
/// Where sessions outlive the daemon.
const SESSIONS: &str = ".dash/sessions.json";

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    accounts: PathBuf,
    sessions: PathBuf,
    /// Whether anyone is asked. Every request looks at it, and none waits for another to do so.
    asks: AtomicBool,
    known: Mutex<Known>,
    /// Held while sessions are written, so that the newest are written last.
    writing: Mutex<()>,
    checking: Semaphore,
    /// Told when someone may not be welcome any more.
    changes: watch::Sender<()>,
    /// Who is connected.
    pub crowd: Arc<Crowd>,
}

#[derive(Debug)]
struct Known {
    accounts: Arc<Accounts>,
    state: Option<State>,
    /// What was wrong with the file when it was looked at last.
    complaint: Option<String>,
    sessions: Sessions,
    attempts: Attempts,
}

/// What a request was let in by, to be asked again later: it may not hold any more.
#[derive(Clone, Debug)]
pub struct Pass {
    pub identity: Identity,
    credential: Credential,
}

/// What a client shows.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The secret in its cookie.
    Session(String),
    Token(String),
}

/// Why someone does not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody of that name has that password.
    Wrong,
    /// Too many attempts; after this long, the next.
    Wait(Duration),
}

impl Keeper {
    /// For the site in `root`.
    ///
    /// # Errors
    /// If there is a file of users that cannot be used: nobody should be let in by mistake.
    pub fn new(root: &Path) -> Result<Keeper> {
        let (path, sessions) = (root.join(FILE), root.join(SESSIONS));
        let accounts = Accounts::read(&path)?;
        let kept = fs::read(&sessions).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let known = Known {
            accounts: Arc::new(accounts),
            state: State::at(&path),
            complaint: None,
            sessions: kept.unwrap_or_default(),
            attempts: Attempts::default(),
        };
        Ok(Keeper {
            // A file that names nobody, an emptied one say, lets nobody in.
            asks: AtomicBool::new(path.exists()),
            accounts: path,
            sessions,
            known: Mutex::new(known),
            writing: Mutex::new(()),
            checking: Semaphore::new(CHECKED_AT_ONCE),
            changes: watch::Sender::new(()),
            crowd: Arc::default(),
        })
    }

    /// Follows the file of users and tokens, for as long as anyone holds the keeper.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub fn follow(self: &Arc<Keeper>) -> Result<()> {
        let keeper = Arc::downgrade(self);
        let follow = move || {
            while let Some(keeper) = keeper.upgrade() {
                keeper.look();
                drop(keeper);
                thread::sleep(LOOK);
            }
        };
        thread::Builder::new().name("keeper".to_owned()).spawn(follow).context("starting a thread")?;
        Ok(())
    }

    /// Changes whenever a pass that held may not hold any more.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Whether anyone is asked who they are.
    pub fn asks(&self) -> bool {
        self.asks.load(Ordering::SeqCst)
    }

    /// Who shows this, if it holds.
    pub fn pass(&self, credential: Credential) -> Option<Pass> {
        let known = self.known();
        let identity = match &credential {
            Credential::Session(secret) => known.sessions.find(secret, &known.accounts, now_ms()),
            Credential::Token(token) => known.accounts.bearer(token),
        };
        Some(Pass { identity: identity?, credential })
    }

    /// Whether it holds still.
    pub fn holds(&self, pass: &Pass) -> bool {
        self.pass(pass.credential.clone()).is_some_and(|now| now.identity.role >= pass.identity.role)
    }

    /// How long someone has to wait before another attempt.
    pub fn wait(&self, from: IpAddr) -> Option<Duration> {
        self.known().attempts.wait(from, now_ms())
    }

    /// Notes that someone has shown what does not hold.
    pub fn failed(&self, from: IpAddr) {
        tracing::warn!("a token from {from} did not hold");
        self.known().attempts.failed(from, now_ms());
    }

    /// Opens a session for whoever knows a user's password; gives its secret.
    ///
    /// # Errors
    /// If they do not know it, or have tried too often.
    pub async fn sign_in(
        self: &Arc<Keeper>,
        name: &str,
        password: String,
        from: IpAddr,
    ) -> Result<String, Refusal> {
        let _permit = self.checking.acquire().await.map_err(|_| Refusal::Wrong)?;
        if let Some(wait) = self.wait(from) {
            return Err(Refusal::Wait(wait));
        }
        let accounts = Arc::clone(&self.known().accounts);
        let user = accounts.user(name).cloned();
        let check = move || verify(user.as_ref(), &password).then_some(user).flatten();
        let user = spawn_blocking(check).await.ok().flatten();
        let made = user.and_then(|user| Some((user, secret::make().ok()?)));
        let Some((user, secret)) = made else {
            tracing::warn!("a sign-in as {:?} from {from} did not hold", shorten(name, 60));
            self.known().attempts.failed(from, now_ms());
            return Err(Refusal::Wrong);
        };
        self.known().sessions.open(&secret, &user, now_ms());
        self.keep().await;
        Ok(secret)
    }

    /// Ends the session that a request came by, if it came by one.
    pub async fn sign_out(self: &Arc<Keeper>, pass: &Pass) {
        let Credential::Session(secret) = &pass.credential else { return };
        self.known().sessions.end(secret);
        self.changes.send_replace(());
        self.keep().await;
    }

    /// Ends all sessions of a user; how many there were.
    pub async fn sign_out_all_of(self: &Arc<Keeper>, user: &str) -> usize {
        let ended = self.known().sessions.end_all_of(user);
        self.changes.send_replace(());
        self.keep().await;
        ended
    }

    /// Who is signed in, newest first.
    pub fn sessions(&self) -> Vec<Session> {
        self.known().sessions.list(now_ms()).into_iter().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file where it has changed; blocking.
    fn look(&self) {
        let state = State::at(&self.accounts);
        if state == self.known().state {
            return;
        }
        let read = Accounts::read(&self.accounts);
        let mut known = self.known();
        match read {
            Ok(accounts) => {
                self.asks.fetch_or(state.is_some(), Ordering::SeqCst);
                (known.accounts, known.state, known.complaint) = (Arc::new(accounts), state, None);
                self.changes.send_replace(());
            }
            // Read again at the next look: what was wrong, such as its mode, need not show in its state.
            Err(error) => {
                let complaint = Some(format!("users and tokens stay as they were: {error:#}"));
                if complaint != known.complaint {
                    tracing::warn!("{}", complaint.as_deref().unwrap_or_default());
                    known.complaint = complaint;
                }
            }
        }
    }

    /// Sessions are worth a new sign-in at most: that they cannot be kept is no reason to turn anyone away.
    async fn keep(self: &Arc<Keeper>) {
        let keeper = Arc::clone(self);
        let write = move || {
            let _turn = keeper.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let sessions = serde_json::to_string(&keeper.known().sessions)?;
            fs::create_dir_all(keeper.sessions.parent().unwrap_or(Path::new(".")))?;
            write_private(&keeper.sessions, sessions.as_bytes())
        };
        if let Err(error) = spawn_blocking(write).await.map_err(anyhow::Error::from).flatten() {
            tracing::warn!("sessions will not outlive the daemon: {error:#}");
        }
    }
}

fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    /// A keeper of a site with the user `ana`, and a token.
    fn keeper(root: &Path) -> (Keeper, Accounts, Credential) {
        let mut accounts = Accounts::default();
        accounts.set_user("ana", "correct horse", Role::Admin).expect("valid");
        let token = accounts.add_token("ci", "0123", Role::Viewer).expect("free");
        accounts.write(&root.join(FILE)).expect("writable");
        (Keeper::new(root).expect("readable"), accounts, Credential::Token(token))
    }

    #[test]
    fn a_file_that_is_gone_or_damaged_opens_nothing() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (keeper, _, token) = keeper(root.path());
        fs::write(root.path().join(FILE), "what?").expect("ours");
        keeper.look();
        assert!(keeper.asks() && keeper.pass(token.clone()).is_some(), "it stays as it was");
        fs::remove_file(root.path().join(FILE)).expect("ours");
        keeper.look();
        assert!(keeper.asks() && keeper.pass(token).is_none());
    }

    #[test]
    fn who_is_removed_is_out_and_those_who_listen_are_told() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (keeper, mut accounts, token) = keeper(root.path());
        let mut changes = keeper.changes();
        let pass = keeper.pass(token).expect("it holds");
        keeper.look();
        assert!(keeper.holds(&pass) && !changes.has_changed().expect("it is there"));
        accounts.remove_token("ci");
        accounts.write(&root.path().join(FILE)).expect("writable");
        keeper.look();
        assert!(!keeper.holds(&pass) && changes.has_changed().expect("it is there"));
        changes.mark_unchanged();
        keeper.look();
        assert!(!changes.has_changed().expect("it is there"));
    }
}
