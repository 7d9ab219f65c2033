//! JSON documents signed by one or more parties: lists, roots, agreements.
//!
//! General JWS JSON serialization (RFC 7515, section 7.2.1) over a canonical payload (RFC 8785),
//! with EdDSA (RFC 8037) or ES256 (RFC 7518). Parties sign one after the other, wherever each keeps
//! its key: [`sign_document`] by the first, [`add_signature`] by the others.
//!
//! Invariants: the payload has one spelling; every signature in a document verifies, by a known and
//! distinct key, or the whole is refused; `typ` says what kind of document was meant, so a
//! signature under one kind proves nothing about another.
//!
//! Not here: who must sign what. The caller compares [`VerifiedDocument::signers`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_types::{Digest, json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::keys::{Algorithm, KeyId, KeyProvider, PublicKey};
use crate::message::Refusal;

/// Most signatures of one document.
const SIGNATURES_MAX: usize = 16;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    protected: String,
    signature: String,
}

/// The protected header. It has no `crit` and no other members, so there is nothing to negotiate.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Protected {
    alg: String,
    kid: KeyId,
    typ: String,
}

/// A document all of whose signatures verify.
#[derive(Clone, Debug)]
pub struct VerifiedDocument {
    /// The canonical payload, byte for byte as signed.
    pub payload: Vec<u8>,
    /// Digest of the payload: what an `AgreementRef` and evidence name.
    pub digest: Digest,
    /// The keys that signed, in the document's order, each once.
    pub signers: Vec<KeyId>,
}

impl VerifiedDocument {
    /// Reads the payload as a type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(json::from_slice(&self.payload)?)
    }
}

/// Signs `payload` as a document of kind `typ` with each key in `signers`.
pub fn sign_document<T: Serialize + ?Sized>(
    typ: &str,
    payload: &T,
    signers: &[KeyId],
    keys: &dyn KeyProvider,
) -> Result<Vec<u8>, Error> {
    let payload = URL_SAFE_NO_PAD.encode(json::canonical(payload)?);
    let mut document = Document { payload, signatures: Vec::new() };
    for signer in signers {
        sign(&mut document, typ, signer, keys)?;
    }
    Ok(json::canonical(&document)?)
}

/// Adds one more party's signature to a document; the present ones are kept as they are.
///
/// Verify the document and show it to whoever decides before calling this.
pub fn add_signature(
    document: &[u8],
    typ: &str,
    signer: &KeyId,
    keys: &dyn KeyProvider,
) -> Result<Vec<u8>, Error> {
    let mut document: Document = json::from_slice(document)?;
    sign(&mut document, typ, signer, keys)?;
    Ok(json::canonical(&document)?)
}

/// Verifies every signature of a document of kind `typ` and at most `bytes_max` bytes. `key` finds
/// the public key of a signer, or says why it may not sign.
pub fn verify_document(
    document: &[u8],
    typ: &str,
    bytes_max: usize,
    key: &dyn Fn(&KeyId) -> Result<PublicKey, Refusal>,
) -> Result<VerifiedDocument, Error> {
    verify_signatures(document, typ, bytes_max, &|id| key(id).map(Some))
}

/// As [`verify_document`], but passes over the signatures of keys that are None.
pub(crate) fn verify_signatures(
    document: &[u8],
    typ: &str,
    bytes_max: usize,
    key: &dyn Fn(&KeyId) -> Result<Option<PublicKey>, Refusal>,
) -> Result<VerifiedDocument, Error> {
    if document.len() > bytes_max {
        return Err(Error::DocumentTooLong { bytes: document.len(), bytes_max });
    }
    let document: Document = json::from_slice(document)?;
    if !(1..=SIGNATURES_MAX).contains(&document.signatures.len()) {
        return Err(Error::DocumentMalformed("a document has 1 to 16 signatures"));
    }
    let mut signers = Vec::with_capacity(document.signatures.len());
    for signature in &document.signatures {
        let header = header(&signature.protected, typ)?;
        let Some(public) = key(&header.kid)? else { continue };
        if header.alg != alg(public.algorithm()) {
            return Err(Error::DocumentMalformed("`alg` is EdDSA or ES256, as the key's is"));
        }
        let bytes = decode(&signature.signature)?;
        let input = signing_input(&signature.protected, &document.payload);
        if !public.verify(input.as_bytes(), &bytes) {
            return Err(Refusal::SignatureWrong(header.kid).into());
        }
        if signers.contains(&header.kid) {
            return Err(Error::DocumentMalformed("a key signs a document once"));
        }
        signers.push(header.kid);
    }
    let payload = decode(&document.payload)?;
    if json::canonical(&json::parse(&payload)?)? != payload {
        return Err(Error::DocumentMalformed("the payload is not canonical JSON (RFC 8785)"));
    }
    if signers.is_empty() {
        return Err(Error::DocumentMalformed("none of the signatures is by a known key"));
    }
    Ok(VerifiedDocument { digest: Digest::of(&payload), payload, signers })
}

/// Returns the payload without verifying anything, to learn where the keys are to be found.
pub fn unverified_payload(document: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    if document.len() > bytes_max {
        return Err(Error::DocumentTooLong { bytes: document.len(), bytes_max });
    }
    let document: Document = json::from_slice(document)?;
    decode(&document.payload)
}

fn sign(
    document: &mut Document,
    typ: &str,
    signer: &KeyId,
    keys: &dyn KeyProvider,
) -> Result<(), Error> {
    let public = keys.public(signer).ok_or_else(|| Error::KeyMissing(signer.clone()))?;
    for present in &document.signatures {
        if header(&present.protected, typ)?.kid == *signer {
            return Err(Error::DocumentMalformed("a key signs a document once"));
        }
    }
    let alg = alg(public.algorithm()).to_owned();
    let header = Protected { alg, kid: signer.clone(), typ: typ.to_owned() };
    let protected = URL_SAFE_NO_PAD.encode(json::canonical(&header)?);
    let signature = keys.sign(signer, signing_input(&protected, &document.payload).as_bytes())?;
    let signature = URL_SAFE_NO_PAD.encode(signature);
    document.signatures.push(Signature { protected, signature });
    Ok(())
}

fn header(protected: &str, typ: &str) -> Result<Protected, Error> {
    let header: Protected = json::from_slice(&decode(protected)?)?;
    if header.typ == typ {
        Ok(header)
    } else {
        Err(Error::DocumentMalformed("`typ` names another kind of document"))
    }
}

const fn alg(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "EdDSA",
        Algorithm::EcdsaP256Sha256 => "ES256",
    }
}

/// RFC 7515, section 5.1.
fn signing_input(protected: &str, payload: &str) -> String {
    format!("{protected}.{payload}")
}

fn decode(text: &str) -> Result<Vec<u8>, Error> {
    let malformed = |_| Error::DocumentMalformed("JWS values are base64url without padding");
    URL_SAFE_NO_PAD.decode(text).map_err(malformed)
}
