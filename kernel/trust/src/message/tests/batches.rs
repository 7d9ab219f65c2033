//! One signature over many messages.

use std::time::Duration;

use karvan_types::Digest;

use super::{BODY, CLIENT_KEY, CREATED, NOW, PROVIDER_KEY, Request, World, key, parts};
use crate::message::batch::{BATCH_MESSAGES_MAX, sign_batch};
use crate::message::{
    Refusal, RequestParts, ResponseParts, SignedHead, Tag, Unsigned, content_digest, verify_base,
    write_request, write_response,
};

/// Writes and signs `count` requests, each for another purpose, with one signature.
fn signed(world: &World, count: usize) -> Vec<(String, SignedHead)> {
    let digest = content_digest(Digest::of(BODY));
    let unsigned: Vec<(String, Unsigned)> = (0..count)
        .map(|number| {
            let purpose = format!("risk-analysis-{number}");
            let parts = RequestParts { purpose: &purpose, ..parts(&digest) };
            let lifetime = Duration::from_mins(5);
            let by = (key(CLIENT_KEY), true);
            let unsigned = write_request(&parts, Tag::Request, CREATED, lifetime, by);
            (purpose.clone(), unsigned.expect("written"))
        })
        .collect();
    let leaves: Vec<Digest> = unsigned.iter().map(|(_, unsigned)| unsigned.leaf()).collect();
    let parts = sign_batch(&leaves, &key(CLIENT_KEY), &world.keys).expect("signed");
    assert_eq!(parts.len(), count);
    let complete = |((purpose, unsigned), part): ((String, Unsigned), Vec<u8>)| {
        (purpose, unsigned.signed_with(part).expect("completed"))
    };
    unsigned.into_iter().zip(parts).map(complete).collect()
}

fn request(purpose: &str, signed: &SignedHead) -> Request {
    let digest = content_digest(Digest::of(BODY));
    Request::new(&RequestParts { purpose, ..parts(&digest) }, signed.clone())
}

#[test]
fn every_message_of_a_batch_is_proven_alone() {
    let world = World::new();
    let public = &world.entries[&key(CLIENT_KEY)].public;
    for count in [1, 2, 3, 5, 8, 13, 100, 255, BATCH_MESSAGES_MAX] {
        for (purpose, signed) in signed(&world, count) {
            let verified = request(&purpose, &signed).verify(&world, NOW).expect("verified");
            assert_eq!((verified.tag, verified.purpose), (Tag::Request, purpose));
            assert!(signed.base.ends_with(";tag=\"karvan-req-batch/1\""), "{}", signed.base);
            let parsed = verify_base(&signed.base, &signed.signature_bytes, public);
            assert!(parsed.expect("re-verified").params.is_batched);
        }
    }
    for count in [0, BATCH_MESSAGES_MAX + 1] {
        let leaves = vec![Digest::of(b"leaf"); count];
        assert!(sign_batch(&leaves, &key(CLIENT_KEY), &world.keys).is_err(), "{count}");
    }
}

#[test]
fn any_changed_byte_of_a_batch_is_found() {
    let world = World::new();
    let public = &world.entries[&key(CLIENT_KEY)].public;
    for (_, signed) in signed(&world, 5) {
        for i in 0..signed.signature_bytes.len() {
            let mut signature = signed.signature_bytes.clone();
            signature[i] ^= 1;
            assert!(verify_base(&signed.base, &signature, public).is_err(), "byte {i}");
        }
        for i in 0..signed.base.len() {
            let mut bytes = signed.base.clone().into_bytes();
            bytes[i] ^= 1;
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(verify_base(&changed, &signed.signature_bytes, public).is_err(), "byte {i}");
        }
    }
}

#[test]
fn no_signature_passes_for_another() {
    let world = World::new();
    let public = &world.entries[&key(CLIENT_KEY)].public;
    let batch = signed(&world, 4);
    let [(first, one), (_, other), ..] = &batch[..] else { panic!("four") };
    // That of a neighbour, with a way to the same root.
    assert!(verify_base(&one.base, &other.signature_bytes, public).is_err());
    // Another key's.
    let others = &world.entries[&key(PROVIDER_KEY)].public;
    assert!(verify_base(&one.base, &one.signature_bytes, others).is_err());
    // The bare signature of the root, and a way that is longer or no whole number of hashes.
    for signature in [
        one.signature_bytes[..64].to_vec(),
        [&one.signature_bytes[..], &[0; 32]].concat(),
        [&one.signature_bytes[..], &[0; 31]].concat(),
        [&one.signature_bytes[..66], &[0; 9 * 32]].concat(),
    ] {
        assert!(verify_base(&one.base, &signature, public).is_err(), "{}", signature.len());
    }
    // A message that says it was signed alone does not take a part of a batch, nor the other way.
    let alone = world.sign(Tag::Request, 300);
    assert!(verify_base(&alone.signed.base, &one.signature_bytes, public).is_err());
    assert!(verify_base(&one.base, &alone.signed.signature_bytes, public).is_err());
    let mut swapped = request(first, one);
    let signature = alone.signed.signature.parse().expect("ASCII");
    swapped.headers.insert("signature", signature);
    let refusal = swapped.verify(&world, NOW).expect_err("refused");
    assert!(matches!(refusal, Refusal::SignatureMalformed { .. }), "{refusal}");
    // Documents live long and are signed alone, whatever is asked for.
    let digest = content_digest(Digest::of(BODY));
    let by = (key(CLIENT_KEY), true);
    let document =
        write_request(&parts(&digest), Tag::Document, CREATED, Duration::from_mins(5), by);
    let document = document.expect("written").sign(&world.keys).expect("signed");
    assert_eq!(document.signature_bytes.len(), 64);
}

#[test]
fn an_answer_of_a_batch_covers_a_request_of_a_batch() {
    let world = World::new();
    let (_, asked) = signed(&world, 3).pop().expect("three");
    let digest = content_digest(Digest::of(BODY));
    let exchange = super::exchange().to_string();
    let parts = ResponseParts {
        status: "200",
        content_type: "application/json",
        content_digest: &digest,
        exchange_id: &exchange,
        call: None,
        request_signature: Some(&asked.signature),
    };
    let answer = write_response(&parts, NOW, (key(PROVIDER_KEY), true)).expect("written");
    let answer = answer.sign(&world.keys).expect("signed");
    assert_eq!(answer.signature_bytes.len(), 66, "a batch of one has no way to go");
    assert!(answer.base.contains("tag=\"karvan-res-batch/1\""));
    let public = &world.entries[&key(PROVIDER_KEY)].public;
    assert!(verify_base(&answer.base, &answer.signature_bytes, public).is_ok());
    // Of a batch only the hash of the base counts, so the answer holds to this request alone.
    let (_, neighbour) = signed(&world, 3).swap_remove(0);
    let swapped = answer.base.replace(&asked.signature[4..], &neighbour.signature[4..]);
    assert_ne!(swapped, answer.base);
    assert!(verify_base(&swapped, &answer.signature_bytes, public).is_err());
}
