//! `model-gateway key`: keys for clients, and the hashes of them that configuration has.

use std::fs::File;
use std::io::{Read, stdin};

use clap::Subcommand;
use sha2::{Digest, Sha256};

/// What to do.
#[derive(Subcommand)]
pub enum Key {
    /// Make a key: print it, once, and what to write into the configuration.
    New {
        /// A name for logs and limits.
        #[arg(default_value = "NAME")]
        name: String,
    },
    /// Print the SHA-256 of a key that is given on standard input, so that it stays out of the shell's history.
    Hash,
}

impl Key {
    /// What to print.
    ///
    /// # Errors
    /// There is no randomness, or no key.
    pub fn run(&self) -> Result<String, String> {
        match self {
            Self::New { name } => {
                let key = new()?;
                Ok(format!(
                    "{key}\n\n# Only this goes into the configuration, under `keys:`. The key itself is not kept anywhere.\n- {{ name: {name}, sha256: \"{}\" }}\n",
                    hash(&key)
                ))
            }
            Self::Hash => {
                let mut text = String::new();
                stdin().take(MOST).read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
                match text.trim() {
                    "" => Err("expected a key on standard input".to_owned()),
                    key => Ok(format!("{}\n", hash(key))),
                }
            }
        }
    }
}

/// The longest key that is read, in bytes.
const MOST: u64 = 8192;
/// Letters and digits, of which every client and shell makes the same.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 is more than 2^256.
const LENGTH: usize = 43;

fn new() -> Result<String, String> {
    let random = "/dev/urandom";
    let mut source = File::open(random).map_err(|error| format!("{random}: {error}"))?;
    let mut key = "sk-gw-".to_owned();
    let end = key.len() + LENGTH;
    while key.len() < end {
        let mut byte = [0];
        source.read_exact(&mut byte).map_err(|error| format!("{random}: {error}"))?;
        // Of 64 equally likely numbers those past the alphabet are drawn again.
        if let Some(letter) = ALPHABET.get(usize::from(byte[0] % 64)) {
            key.push(char::from(*letter));
        }
    }
    Ok(key)
}

/// SHA-256, in hex.
pub fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{hash, new};

    #[test]
    fn keys_are_long_and_never_the_same() {
        let keys = [new().unwrap(), new().unwrap()];
        assert_ne!(keys[0], keys[1]);
        for key in keys {
            assert!(
                key.starts_with("sk-gw-") && key.len() == 49 && key[6..].bytes().all(|b| b.is_ascii_alphanumeric())
            );
        }
    }

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn hashes_are_sha256() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
