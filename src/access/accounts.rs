//! The file of users and tokens, `access.toml` beside `dash.toml`: readable by its owner alone, and holding
//! nothing that lets anyone in.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};

use crate::access::secret::digest;
use crate::access::{Identity, Role};

/// The file's name in a site's folder.
pub const FILE: &str = "access.toml";

/// Shortest and longest password, in characters. (NIST SP 800-63B asks for 8 at least; the upper bound keeps a
/// request from costing more than one hash.)
const SHORTEST_PASSWORD: usize = 8;
const LONGEST_PASSWORD: usize = 256;
const LONGEST_NAME: usize = 64;

/// What begins every token, so that leaked ones can be found.
const TOKEN_PREFIX: &str = "dash_";

/// Someone with a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    pub role: Role,
    /// Argon2id, as a PHC string.
    pub password: String,
}

/// A key for scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub name: String,
    pub role: Role,
    pub sha256: String,
}

/// Everyone who may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Accounts {
    #[serde(rename = "user", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    #[serde(rename = "token", skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Token>,
}

impl Accounts {
    /// Reads the file; where there is none, there is nobody.
    ///
    /// # Errors
    /// If it cannot be read, is not valid, or could be read by others.
    pub fn read(path: &Path) -> Result<Accounts> {
        let reading = || format!("reading `{}`", path.display());
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Accounts::default()),
            Err(error) => return Err(error).with_context(reading),
        };
        let mode = file.metadata().with_context(reading)?.mode();
        if mode & 0o077 != 0 {
            let path = path.display();
            bail!("`{path}` can be read by others than its owner; run `chmod 600 {path}`");
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(reading)?;
        toml::from_str(&text)
            .map_err(|error| anyhow!("{}", error.to_string().trim_end()))
            .with_context(reading)
    }

    /// Reads the file, changes what it says and replaces it, one after another however many do so at a time.
    ///
    /// # Errors
    /// If the file cannot be read or written, or the change is refused; then the file stays as it was.
    pub fn change<T>(path: &Path, change: impl FnOnce(&mut Accounts) -> Result<T>) -> Result<T> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The file itself is another after each change. The lock ends with its holder.
        let lock = File::open(folder).with_context(|| format!("opening `{}`", folder.display()))?;
        lock.lock().with_context(|| format!("locking `{}`", folder.display()))?;
        let mut accounts = Accounts::read(path)?;
        let done = change(&mut accounts)?;
        accounts.write(path)?;
        Ok(done)
    }

    /// Replaces the file, as a whole.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        // A file that names nobody would let nobody in.
        if self.is_empty() {
            return fs::remove_file(path).with_context(|| format!("removing `{}`", path.display()));
        }
        let text = toml::to_string(self).context("writing users and tokens as TOML")?;
        write_private(path, text.as_bytes())
    }

    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Adds a user, or gives a known one another password and role, which ends their sessions.
    ///
    /// # Errors
    /// If name or password will not do.
    pub fn set_user(&mut self, name: &str, password: &str, role: Role) -> Result<()> {
        check_name(name)?;
        let length = password.chars().count();
        if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&length) {
            bail!(
                "a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, and this one has {length}"
            );
        }
        let hash: PasswordHash = Argon2::default()
            .hash_password(password.as_bytes())
            .map_err(|error| anyhow!("hashing the password: {error}"))?;
        self.users.retain(|user| user.name != name);
        self.users.push(User { name: name.to_owned(), role, password: hash.to_string() });
        self.users.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    /// Whether there was such a user.
    pub fn remove_user(&mut self, name: &str) -> bool {
        let before = self.users.len();
        self.users.retain(|user| user.name != name);
        self.users.len() < before
    }

    /// Adds a token and gives it, for the only time: `secret` is made by [`crate::access::secret::make`].
    ///
    /// # Errors
    /// If the name will not do, or is taken.
    pub fn add_token(&mut self, name: &str, secret: &str, role: Role) -> Result<String> {
        check_name(name)?;
        if self.tokens.iter().any(|token| token.name == name) {
            bail!("there is a token `{name}` already; remove it first with `dash token remove {name}`");
        }
        let shown = format!("{TOKEN_PREFIX}{secret}");
        self.tokens.push(Token { name: name.to_owned(), role, sha256: digest(&shown) });
        self.tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(shown)
    }

    /// Whether there was such a token.
    pub fn remove_token(&mut self, name: &str) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.name != name);
        self.tokens.len() < before
    }

    /// Who a token stands for.
    pub fn bearer(&self, token: &str) -> Option<Identity> {
        let digest = digest(token);
        let token = self.tokens.iter().find(|token| token.sha256 == digest)?;
        Some(Identity { name: token.name.clone(), role: token.role })
    }
}

impl User {
    pub fn identity(&self) -> Identity {
        Identity { name: self.name.clone(), role: self.role }
    }

    /// Changes with the password and the role: what a session was opened for.
    pub fn seal(&self) -> String {
        digest(&format!("{} {}", self.role.word(), self.password))
    }
}

/// A hash of nobody's password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5$\
                      eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg";

/// Whether a password is this user's. Takes tens of milliseconds, and as long for a user that there is not, so
/// that the time does not tell names.
pub fn verify(user: Option<&User>, password: &str) -> bool {
    if password.chars().count() > LONGEST_PASSWORD {
        return false;
    }
    let hash = user.map_or(NOBODY, |user| user.password.as_str());
    let right = Argon2::default().verify_password(password.as_bytes(), hash).is_ok();
    right && user.is_some()
}

/// Whether this can be the name of a user or token: it stands in logs and lists, and on the page of who is signed in.
///
/// # Errors
/// If it cannot; says what a name has.
pub fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "-._@+".contains(c);
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !name.chars().all(plain) {
        bail!("a name has 1 to {LONGEST_NAME} letters, digits, and `-._@+`");
    }
    Ok(())
}

/// Puts a whole file in place that only its owner can read.
///
/// # Errors
/// If it cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        // An unfinished one of a run that was killed may have any mode.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("writing `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn accounts() -> Accounts {
        let mut accounts = Accounts::default();
        accounts.set_user("ana", "correct horse", Role::Viewer).expect("valid");
        accounts
    }

    #[test]
    fn a_password_lets_in_its_user_alone() {
        let accounts = accounts();
        let ana = accounts.user("ana");
        assert!(verify(ana, "correct horse"));
        assert!(!verify(ana, "correct hors"));
        assert!(!verify(None, "correct horse"));
        assert!(!verify(ana, &"x".repeat(100_000)));
        assert!(ana.expect("added").password.starts_with("$argon2id$"));
    }

    #[test]
    fn the_hash_of_nobody_costs_as_much_as_that_of_somebody() {
        // Algorithm, version, memory, rounds and lanes, before salt and hash.
        let cost = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        let accounts = accounts();
        assert_eq!(cost(NOBODY), cost(&accounts.user("ana").expect("added").password));
        // It is read as a hash at all: an invalid one would be refused at once.
        let refused = Argon2::default().verify_password(b"correct horse", NOBODY);
        assert!(matches!(refused, Err(argon2::password_hash::Error::PasswordInvalid)), "{refused:?}");
    }

    #[test]
    fn another_password_or_role_breaks_the_seal() {
        let mut accounts = accounts();
        let seal = accounts.user("ana").expect("added").seal();
        accounts.set_user("ana", "battery staple", Role::Viewer).expect("valid");
        assert_ne!(accounts.user("ana").expect("added").seal(), seal);
        assert_eq!(accounts.users.len(), 1);
    }

    #[test]
    fn a_token_is_shown_once_and_known_again() {
        let mut accounts = accounts();
        let token = accounts.add_token("ci", "0123", Role::Operator).expect("free");
        assert_eq!(accounts.bearer(&token), Some(Identity { name: "ci".to_owned(), role: Role::Operator }));
        assert_eq!((accounts.bearer("0123"), accounts.bearer("")), (None, None));
        assert!(accounts.add_token("ci", "4567", Role::Viewer).is_err());
        assert!(accounts.remove_token("ci") && !accounts.remove_token("ci"));
        assert_eq!(accounts.bearer(&token), None);
    }

    #[test]
    fn names_and_passwords_have_bounds() {
        let mut accounts = Accounts::default();
        for name in ["", "a b", "a\nb", "<a>", &"x".repeat(65)] {
            assert!(accounts.set_user(name, "correct horse", Role::Viewer).is_err(), "{name:?}");
        }
        for password in ["", "1234567", &"x".repeat(257)] {
            assert!(accounts.set_user("ana", password, Role::Viewer).is_err(), "{password:?}");
        }
        assert!(accounts.is_empty());
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join(FILE);
        std::thread::scope(|scope| {
            for at in 0..20 {
                let (name, path) = (format!("t{at}"), &path);
                scope.spawn(move || {
                    Accounts::change(path, |accounts| accounts.add_token(&name, &name, Role::Viewer))
                });
            }
        });
        assert_eq!(Accounts::read(&path).expect("readable").tokens.len(), 20);
        let refused =
            Accounts::change(&path, |accounts| accounts.set_user("a b", "correct horse", Role::Viewer));
        assert!(refused.is_err() && Accounts::read(&path).expect("readable").users.is_empty());
    }

    #[test]
    fn the_file_is_its_owner_s_alone() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join(FILE);
        assert!(Accounts::read(&path).expect("nobody").is_empty());
        let accounts = accounts();
        accounts.write(&path).expect("writable");
        assert_eq!(fs::metadata(&path).expect("written").permissions().mode() & 0o777, 0o600);
        assert_eq!(Accounts::read(&path).expect("readable"), accounts);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
        let error = Accounts::read(&path).expect_err("others can read it").to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
