//! Secrets that dash makes, and what it keeps of them.

use anyhow::{Result, anyhow};
use sha2::{Digest, Sha256};

/// 256 random bits in hexadecimal.
///
/// # Errors
/// If the system has no randomness to give.
pub fn make() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("asking the system for randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is kept of a secret: enough to know it again, of no use to who finds it.
pub fn digest(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_the_same() {
        let (one, other) = (make().expect("randomness"), make().expect("randomness"));
        assert!(one.len() == 64 && one != other);
        assert_ne!(digest(&one), one);
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
