#!/usr/bin/env python3
"""Verifies the same messages with the library `http-message-signatures` from PyPI.

    crosscheck.py FILE

Every message must verify, and none with one covered value changed. Exit code 0 is success.
"""

import base64
import copy
import json
import sys
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)


def unbase64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, jwks):
        self.jwks = jwks

    def resolve_public_key(self, key_id):
        jwk = self.jwks[key_id]
        x = unbase64url(jwk["x"])
        if jwk["kty"] == "OKP":
            return ed25519.Ed25519PublicKey.from_public_bytes(x)
        point = b"\x04" + x + unbase64url(jwk["y"])
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)

    def resolve_private_key(self, key_id):
        raise NotImplementedError


class AnyTime(HTTPMessageVerifier):
    """The examples are from a fixed day; the time they were made is not under test here."""

    def validate_created_and_expires(self, sig_input, max_age=None):
        pass


def native(message, requests):
    """The message in the shape the library asks for."""
    headers = dict(message["headers"])
    if "method" in message:
        url = f"https://{message['authority']}{message['target']}"
        return SimpleNamespace(method=message["method"], url=url, headers=headers)
    request = native(requests[message["answers"]], requests)
    return SimpleNamespace(status_code=int(message["status"]), headers=headers, request=request)


def verify(message, keys, requests):
    keyid = message["headers"][-2][1].split('keyid="')[1].split('"')[0]
    ed = keys.jwks[keyid]["kty"] == "OKP"
    algorithm = algorithms.ED25519 if ed else algorithms.ECDSA_P256_SHA256
    verifier = AnyTime(signature_algorithm=algorithm, key_resolver=keys)
    tag = "karvan-res/1" if "status" in message else None
    tag = tag or ("karvan-doc/1" if "karvan-doc/1" in str(message["headers"]) else "karvan-req/1")
    body = base64.b64decode(message["body"])
    results = verifier.verify(native(message, requests), max_age=None, expect_tag=tag, body=body)
    assert len(results) == 1 and results[0].label == "kvn"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    keys = Keys(given["keys"])
    requests = {m["name"]: m for m in given["messages"] if "method" in m}
    refused = 0
    for message in given["messages"]:
        verify(message, keys, requests)
        for at, (name, value) in enumerate(message["headers"]):
            wrong = copy.deepcopy(message)
            first = value[:12] + ("y" if value[12] == "x" else "x") + value[13:]
            wrong["headers"][at][1] = first
            try:
                verify(wrong, keys, requests)
            except (HTTPMessageSignaturesException, InvalidSignature):
                refused += 1
            else:
                print(f"FAILED not refused: {message['name']}: {name} = {first!r}")
                return 1
    print(f"{len(given['messages'])} messages verified, {refused} altered copies refused")
    return 0 if given["messages"] and refused else 1


if __name__ == "__main__":
    sys.exit(main())
