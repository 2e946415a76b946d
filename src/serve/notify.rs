//! Tells systemd how the daemon is (`sd_notify(3)`), where systemd has started it and asks.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The site is served.
pub fn ready() {
    tell("READY=1");
}

/// Clients are taking their leave.
pub fn stopping() {
    tell("STOPPING=1");
}

/// Nobody has to hear it, so nothing can go wrong that matters.
fn tell(state: &str) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return };
    let path = path.as_encoded_bytes();
    let address = match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => {
            SocketAddr::from_pathname(std::path::Path::new(&env::var_os("NOTIFY_SOCKET").unwrap_or_default()))
        }
    };
    let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(state.as_bytes(), &address?));
    if let Err(error) = sent {
        tracing::debug!("telling systemd `{state}`: {error}");
    }
}
