//! Signatures of what a node posts to agencies' systems: Standard Webhooks 1.0, symmetric.
//!
//! HMAC-SHA-256 over id, timestamp and body, each joined by a dot. The secret is made by the node
//! from its own randomness and shown once; a receiver needs no more than an HMAC and compares in
//! constant time, for which libraries exist in every language that agencies use.
//!
//! Not here: message signatures between nodes (`crate::message`), which prove to third parties.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_system::Entropy;
use karvan_types::Digest;
use zeroize::Zeroizing;

use crate::Error;

/// The version mark of a symmetric signature.
const VERSION: &str = "v1";
/// How a secret's text begins.
const PREFIX: &str = "whsec_";
/// Length of a secret, in bytes; the specification asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// Makes a secret: `whsec_` and base64.
pub fn generate(entropy: &dyn Entropy) -> String {
    let secret = Zeroizing::new(entropy.array::<SECRET_BYTES>());
    format!("{PREFIX}{}", STANDARD.encode(*secret))
}

/// Signs a message with each secret; returns the value of `webhook-signature`.
pub fn sign(secrets: &[&str], id: &str, seconds: i64, body: &[u8]) -> Result<String, Error> {
    let mut signatures = Vec::with_capacity(secrets.len());
    for secret in secrets {
        let bytes = secret.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        let bytes = Zeroizing::new(bytes.ok_or(Error::KeyRejected("it is no webhook secret"))?);
        let head = format!("{id}.{seconds}.");
        let code = Digest::keyed(&bytes, &[head.as_bytes(), body]);
        signatures.push(format!("{VERSION},{}", code.to_base64()));
    }
    Ok(signatures.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_published_example_is_signed_alike() {
        let body = br#"{"test": 2432232314}"#;
        let one = sign(&[SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(one.expect("signed"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = sign(&[SECRET, SECRET], "a", 0, b"").expect("signed");
        assert_eq!(two.split(' ').count(), 2);
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%%%"] {
            assert!(sign(&[bad], "a", 0, b"").is_err(), "{bad}");
        }
    }
}
