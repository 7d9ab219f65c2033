//! A private key behind a [`KeyProvider`], in the shapes that the certificate writer and the TLS
//! library ask for. So neither ever holds private bytes, and a hardware module can serve both.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::Error;
use crate::keys::{Algorithm, KeyId, KeyProvider, PublicKey};

/// One private key of a provider.
#[derive(Clone)]
pub(crate) struct ProvidedKey {
    id: KeyId,
    public: PublicKey,
    keys: Arc<dyn KeyProvider>,
}

impl ProvidedKey {
    pub(crate) fn new(id: &KeyId, keys: Arc<dyn KeyProvider>) -> Result<Self, Error> {
        let public = keys.public(id).ok_or_else(|| Error::KeyMissing(id.clone()))?;
        Ok(Self { id: id.clone(), public, keys })
    }

    /// Signs, in the form certificates and TLS use: ECDSA as DER (RFC 3279, section 2.2.3).
    fn sign_der(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.keys.sign(&self.id, message)?;
        Ok(match self.public.algorithm() {
            Algorithm::Ed25519 => signature,
            Algorithm::EcdsaP256Sha256 => ecdsa_der(&signature),
        })
    }

    const fn scheme(&self) -> SignatureScheme {
        match self.public.algorithm() {
            Algorithm::Ed25519 => SignatureScheme::ED25519,
            Algorithm::EcdsaP256Sha256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        }
    }

    /// Returns the public key as SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    pub(crate) fn spki(&self) -> Vec<u8> {
        rcgen::PublicKeyData::subject_public_key_info(self)
    }
}

impl fmt::Debug for ProvidedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private key {}", self.id)
    }
}

/// Writes r‖s as SEQUENCE { r INTEGER, s INTEGER }; each number is positive and minimal.
fn ecdsa_der(raw: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::with_capacity(72);
    for half in raw.chunks(32) {
        let zeros = half.iter().take_while(|byte| **byte == 0).count();
        let number = half.get(zeros..).unwrap_or_default();
        let sign = number.first().is_none_or(|byte| byte & 0x80 != 0);
        let length = u8::try_from(number.len() + usize::from(sign)).unwrap_or(0);
        numbers.extend([0x02, length]);
        numbers.extend(sign.then_some(0));
        numbers.extend(number);
    }
    // Two numbers of at most 33 bytes fit the short form of a length.
    let mut der = vec![0x30, u8::try_from(numbers.len()).unwrap_or(0)];
    der.append(&mut numbers);
    der
}

impl rcgen::PublicKeyData for ProvidedKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.public.algorithm() {
            Algorithm::Ed25519 => &rcgen::PKCS_ED25519,
            Algorithm::EcdsaP256Sha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl rcgen::SigningKey for ProvidedKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.sign_der(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

impl rustls::sign::SigningKey for ProvidedKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as _)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.spki().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.public.algorithm() {
            Algorithm::Ed25519 => SignatureAlgorithm::ED25519,
            Algorithm::EcdsaP256Sha256 => SignatureAlgorithm::ECDSA,
        }
    }
}

impl rustls::sign::Signer for ProvidedKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.sign_der(message).map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        Self::scheme(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecdsa_numbers_are_minimal_and_positive() {
        let half = |first: u8| [&[0; 30][..], &[first, 7]].concat();
        for (first, expected) in
            [(0x01, &[0x02, 2, 0x01, 7][..]), (0x80, &[0x02, 3, 0, 0x80, 7]), (0x00, &[0x02, 1, 7])]
        {
            let der = ecdsa_der(&[half(first), half(0x7f)].concat());
            let expected = [expected, &[0x02, 2, 0x7f, 7]].concat();
            assert_eq!(der.get(2..), Some(&expected[..]));
            assert_eq!(
                der.first_chunk(),
                Some(&[0x30, u8::try_from(expected.len()).expect("short")])
            );
        }
    }
}
