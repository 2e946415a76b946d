//! A snapshot by mail, over SMTP. The password comes from the environment or a file, never from the settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};
use serde::Deserialize;

use crate::send::letter::Letter;

/// Holds the password of `user`.
pub const PASSWORD: &str = "DASH_MAIL_PASSWORD";

/// How often a mail is handed over at most, and the first pause between two tries.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// For each command of the conversation.
const TIMEOUT: Duration = Duration::from_secs(30);

/// `[mail]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailSettings {
    /// The host that takes mails.
    pub server: Option<String>,
    /// 587 with `starttls`, 465 with `tls`, 25 with `none`, unless given.
    pub port: Option<u16>,
    pub tls: Mode,
    /// The sender; `dash@` and the server without it.
    pub from: Option<String>,
    pub user: Option<String>,
    /// A file that holds the password, where the environment does not.
    pub password_file: Option<PathBuf>,
}

/// How the conversation is kept secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// From its first word but few.
    #[default]
    Starttls,
    /// From its first byte.
    Tls,
    /// Not at all: for a server on the same machine.
    None,
}

impl MailSettings {
    /// What is not as it should be, as a sentence that names the key.
    pub fn problem(&self) -> Option<String> {
        let local = ["localhost", "127.0.0.1", "::1"];
        let is_local = self.server.as_deref().is_none_or(|server| local.contains(&server));
        if self.tls == Mode::None && self.user.is_some() && !is_local {
            return Some(
                "`tls = \"none\"` would show the password to everyone on the way; use `starttls` or `tls`"
                    .to_owned(),
            );
        }
        let from = self.from.as_deref()?;
        from.parse::<Mailbox>()
            .err()
            .map(|_| format!("`from = \"{from}\"` is not an address; write it as `dash <dash@example.org>`"))
    }

    /// Where to hand mails over, with the password that goes with `user`.
    fn transport(&self, root: &Path, variable: fn(&str) -> Option<String>) -> Result<SmtpTransport> {
        let server = self.server.as_deref().context(
            "there is no mail server; set `server` in `[mail]`: the host that takes mails from this machine",
        )?;
        let parameters = || {
            TlsParameters::new_rustls(server.to_owned())
                .with_context(|| format!("preparing TLS for the mail server `{server}`"))
        };
        let (tls, port) = match self.tls {
            Mode::Starttls => (Tls::Required(parameters()?), 587),
            Mode::Tls => (Tls::Wrapper(parameters()?), 465),
            Mode::None => (Tls::None, 25),
        };
        let transport = SmtpTransport::builder_dangerous(server)
            .port(self.port.unwrap_or(port))
            .tls(tls)
            .timeout(Some(TIMEOUT));
        let Some(user) = &self.user else { return Ok(transport.build()) };
        let password = self.password(root, variable)?;
        Ok(transport.credentials(Credentials::new(user.clone(), password)).build())
    }

    fn password(&self, root: &Path, variable: fn(&str) -> Option<String>) -> Result<String> {
        if let Some(password) = variable(PASSWORD).filter(|password| !password.is_empty()) {
            return Ok(password);
        }
        let path = self.password_file.as_ref().with_context(|| {
            format!(
                "`user` of `[mail]` has no password; set `{PASSWORD}` in the environment, or `password_file`"
            )
        })?;
        let path = root.join(path);
        let text = fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn sender(&self) -> Result<Mailbox> {
        let server = self.server.as_deref().unwrap_or("localhost");
        let from = self.from.clone().unwrap_or_else(|| format!("dash <dash@{server}>"));
        from.parse().with_context(|| format!("`{from}` is no sender; set `from` in `[mail]`"))
    }
}

/// Reads the address of a receiver.
///
/// # Errors
/// Says how to write one.
pub fn address(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| "not an address; write it as `ana@example.org`".to_owned())
}

/// Hands a mail over to the server, which brings it to all receivers.
///
/// # Errors
/// If the settings do not hold, or the server does not take the mail: says what it answered.
pub fn send(
    letter: Letter,
    to: &[Mailbox],
    settings: &MailSettings,
    (root, variable): (&Path, fn(&str) -> Option<String>),
) -> Result<()> {
    let transport = settings.transport(root, variable)?;
    let message = message(letter, to, settings.sender()?)?;
    let server = settings.server.as_deref().unwrap_or_default();
    let mut pause = PAUSE;
    for attempt in 1.. {
        let error = match transport.send(&message) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        // What a server refuses for good, or a certificate that is not to be trusted, stays so.
        let passes = !error.is_permanent() && !error.is_client() && !error.is_tls();
        if !passes || attempt == TRIES {
            let step = "look at `[mail]`, and at what the server's log says";
            bail!("the mail server `{server}`: {}; {step}", chain(&error));
        }
        sleep(pause);
        pause *= 3;
    }
    unreachable!("the loop ends with its last try")
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut said: Vec<String> = causes.map(ToString::to_string).collect();
    said.dedup();
    said.join(": ")
}

fn message(letter: Letter, to: &[Mailbox], from: Mailbox) -> Result<Message> {
    let png: ContentType = "image/png".parse().expect("it is one");
    let mut shown = MultiPart::related().singlepart(SinglePart::html(letter.html));
    for picture in letter.pictures {
        let inline = Attachment::new_inline_with_name(picture.name.clone(), format!("{}.png", picture.name));
        shown = shown.singlepart(inline.body(picture.png, png.clone()));
    }
    let (name, page) = letter.attachment;
    let body = MultiPart::mixed()
        .multipart(MultiPart::alternative().singlepart(SinglePart::plain(letter.text)).multipart(shown))
        .singlepart(Attachment::new(name).body(page, ContentType::TEXT_HTML));
    let message = to.iter().fold(Message::builder().from(from), |message, to| message.to(to.clone()));
    let message = message.subject(letter.subject).message_id(None);
    message.multipart(body).context("writing the mail")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> MailSettings {
        toml::from_str(text).expect("the settings are whole")
    }

    #[test]
    fn passwords_do_not_travel_in_the_open() {
        let open = settings("server = 'mail.example.org'\ntls = 'none'\nuser = 'dash'");
        assert!(open.problem().expect("it would").contains("`starttls`"));
        for text in [
            "server = 'localhost'\ntls = 'none'\nuser = 'dash'",
            "server = 'mail.example.org'\nuser = 'dash'",
        ] {
            assert_eq!(settings(text).problem(), None, "{text}");
        }
        assert!(settings("from = 'nobody'").problem().expect("no address").contains("`from"));
    }

    #[test]
    fn a_password_is_taken_from_outside_only() {
        let settings = settings("server = 'x'\nuser = 'dash'");
        let error = settings.password(Path::new("."), |_| None).expect_err("there is none").to_string();
        assert!(error.contains(PASSWORD) && error.contains("password_file"), "{error}");
        assert_eq!(settings.password(Path::new("."), |_| Some("x".to_owned())).expect("it is there"), "x");
    }
}
