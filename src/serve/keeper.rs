//! Who is let in: the file of users and tokens as it is now, sessions, and how often someone has failed.
//!
//! Where there is no user and no token, nobody is asked. Once there was one, the daemon asks for as long as it
//! runs, even if the file is damaged or gone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, net::IpAddr};

use anyhow::Result;
use chrono::Utc;
use tokio::sync::Semaphore;

use crate::access::accounts::{Accounts, FILE, verify, write_private};
use crate::access::attempts::Attempts;
use crate::access::sessions::{Session, Sessions};
use crate::access::{Identity, secret};
use crate::model::notes::shorten;
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
    known: Mutex<Known>,
    checking: Semaphore,
}

#[derive(Debug)]
struct Known {
    accounts: Arc<Accounts>,
    state: Option<State>,
    /// What was wrong with the file when it was looked at last.
    complaint: Option<String>,
    looked: Instant,
    /// Whether anyone is asked.
    asks: bool,
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
            // A file that names nobody, an emptied one say, lets nobody in.
            asks: path.exists(),
            accounts: Arc::new(accounts),
            state: State::at(&path),
            complaint: None,
            looked: Instant::now(),
            sessions: kept.unwrap_or_default(),
            attempts: Attempts::default(),
        };
        let checking = Semaphore::new(CHECKED_AT_ONCE);
        Ok(Keeper { accounts: path, sessions, known: Mutex::new(known), checking })
    }

    /// Whether anyone is asked who they are.
    pub fn asks(&self) -> bool {
        self.known().asks
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
    pub async fn sign_in(&self, name: &str, password: String, from: IpAddr) -> Result<String, Refusal> {
        let _permit = self.checking.acquire().await.map_err(|_| Refusal::Wrong)?;
        if let Some(wait) = self.wait(from) {
            return Err(Refusal::Wait(wait));
        }
        let accounts = Arc::clone(&self.known().accounts);
        let user = accounts.user(name).cloned();
        let check = move || verify(user.as_ref(), &password).then_some(user).flatten();
        let user = tokio::task::spawn_blocking(check).await.ok().flatten();
        let made = user.and_then(|user| Some((user, secret::make().ok()?)));
        let mut known = self.known();
        let Some((user, secret)) = made else {
            tracing::warn!("a sign-in as {:?} from {from} did not hold", shorten(name, 60));
            known.attempts.failed(from, now_ms());
            return Err(Refusal::Wrong);
        };
        known.attempts.succeeded(from);
        known.sessions.open(&secret, &user, now_ms());
        self.keep(&known.sessions);
        Ok(secret)
    }

    /// Ends the session that a request came by, if it came by one.
    pub fn sign_out(&self, pass: &Pass) {
        let Credential::Session(secret) = &pass.credential else { return };
        let mut known = self.known();
        known.sessions.end(secret);
        self.keep(&known.sessions);
    }

    /// Ends all sessions of a user; how many there were.
    pub fn sign_out_all_of(&self, user: &str) -> usize {
        let mut known = self.known();
        let ended = known.sessions.end_all_of(user);
        self.keep(&known.sessions);
        ended
    }

    /// Who is signed in, newest first.
    pub fn sessions(&self) -> Vec<Session> {
        self.known().sessions.list(now_ms()).into_iter().cloned().collect()
    }

    /// What is known, from the file as it is.
    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.elapsed() < LOOK {
            return known;
        }
        known.looked = Instant::now();
        let state = State::at(&self.accounts);
        if state == known.state {
            return known;
        }
        match Accounts::read(&self.accounts) {
            Ok(accounts) => {
                known.asks |= state.is_some();
                (known.accounts, known.state, known.complaint) = (Arc::new(accounts), state, None);
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
        known
    }

    /// Sessions are worth a new sign-in at most: that they cannot be kept is no reason to turn anyone away.
    fn keep(&self, sessions: &Sessions) {
        let folder = self.sessions.parent().unwrap_or(Path::new("."));
        let written = fs::create_dir_all(folder)
            .map_err(anyhow::Error::from)
            .and_then(|()| write_private(&self.sessions, serde_json::to_string(sessions)?.as_bytes()));
        if let Err(error) = written {
            tracing::warn!("sessions will not outlive the daemon: {error:#}");
        }
    }
}

fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}
