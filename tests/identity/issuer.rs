//! An issuer of tokens: it signs, and it has its keys on a server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// One of an issuer's keys.
pub struct Signer {
    pair: EcdsaKeyPair,
    id: &'static str,
}

impl Signer {
    pub fn new(id: &'static str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self { pair: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(), id }
    }

    /// The set of these keys' public halves.
    pub fn set(signers: &[&Self]) -> Value {
        let keys = signers.iter().map(|signer| {
            let (x, y) = signer.pair.public_key().as_ref()[1..].split_at(32);
            json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": signer.id, "x": base64(x), "y": base64(y)})
        });
        json!({"keys": keys.collect::<Vec<_>>()})
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": self.id});
        let text = format!("{}.{}", base64(head.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", base64(signature.as_ref()))
    }
}

/// RFC 4648, section 5, without padding.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0_u32, |number, index| number << 8 | u32::from(*chunk.get(index).unwrap_or(&0)));
        text.extend((0..=chunk.len()).map(|index| char::from(LETTERS[(number >> (18 - 6 * index)) as usize & 63])));
    }
    text
}

/// A server that answers with whatever it has at the moment; where, and what.
pub fn serve(first: &Value) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (url, body) =
        (format!("http://{}/keys", listener.local_addr().unwrap()), Arc::new(Mutex::new(first.to_string())));
    let current = body.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let body = current.lock().unwrap().clone();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    (url, body)
}
