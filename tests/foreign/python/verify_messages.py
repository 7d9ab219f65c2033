#!/usr/bin/env python3
"""Verifies signed HTTP messages from the RFCs alone, with none of our code.

Written from RFC 9421 (message signatures), RFC 9530 (Content-Digest), RFC 9651
(structured fields), RFC 7517, 7518 and 8037 (JWK), RFC 7515 (JWS) and RFC 8785
(canonical JSON). Needs only the package `cryptography`. It knows HTTP message
signatures in general and nothing of the Karvan profile, except for the last
checks: which components have to be covered, and one signature over many messages.

    verify_messages.py FILE

Every message must verify, every altered copy must not. Exit code 0 is success.
"""

import base64
import binascii
import copy
import hashlib
import json
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils


class Refused(Exception):
    """A message or document does not verify, and why."""


# --- structured fields (RFC 9651), as far as signatures use them -------------

KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
INTEGER = re.compile(r"-?[0-9]{1,15}")


class Text:
    """A field value that is read from left to right."""

    def __init__(self, text):
        self.text = text
        self.at = 0

    def peek(self):
        return self.text[self.at : self.at + 1]

    def take(self, expected):
        if not self.text.startswith(expected, self.at):
            raise Refused(f"structured field: expected {expected!r} at {self.at}")
        self.at += len(expected)

    def match(self, pattern):
        found = pattern.match(self.text, self.at)
        if not found:
            raise Refused(f"structured field: nothing fits at {self.at}")
        self.at = found.end()
        return found.group()

    def spaces(self, allowed):
        while self.peek() and self.peek() in allowed:
            self.at += 1


def read_bare_item(text):
    """RFC 9651, section 4.2.3.1: strings, byte sequences, integers, booleans."""
    first = text.peek()
    if first == '"':
        text.take('"')
        out = []
        while text.peek() != '"':
            char = text.peek()
            text.at += 1
            if char == "\\":
                char = text.peek()
                text.at += 1
                if char not in ('"', "\\"):
                    raise Refused("structured field: bad escape")
            elif not char or not " " <= char <= "~":
                raise Refused("structured field: bad string")
            out.append(char)
        text.take('"')
        return "".join(out)
    if first == ":":
        text.take(":")
        end = text.text.find(":", text.at)
        if end < 0:
            raise Refused("structured field: byte sequence without end")
        try:
            value = base64.b64decode(text.text[text.at : end], validate=True)
        except binascii.Error as error:
            raise Refused(f"structured field: {error}") from error
        if base64.b64encode(value).decode() != text.text[text.at : end]:
            raise Refused("structured field: base64 is not canonical")
        text.at = end + 1
        return value
    if first == "?":
        text.take("?")
        return text.match(re.compile("[01]")) == "1"
    return int(text.match(INTEGER))


def read_parameters(text):
    parameters = {}
    while text.peek() == ";":
        text.take(";")
        text.spaces(" ")
        key = text.match(KEY)
        value = True
        if text.peek() == "=":
            text.take("=")
            value = read_bare_item(text)
        if key in parameters:
            raise Refused(f"the parameter {key} is given twice")
        parameters[key] = value
    return parameters


def read_item(text):
    value = read_bare_item(text)
    return value, read_parameters(text)


def read_dictionary(value):
    """Members are (item, parameters), or (list of items, parameters) for an inner list."""
    text = Text(value)
    text.spaces(" ")
    members = {}
    while text.peek():
        key = text.match(KEY)
        if key in members:
            raise Refused(f"the member {key} is given twice")
        text.take("=")
        if text.peek() == "(":
            text.take("(")
            items = []
            text.spaces(" ")
            while text.peek() != ")":
                items.append(read_item(text))
                if text.peek() not in (" ", ")"):
                    raise Refused("structured field: bad inner list")
                text.spaces(" ")
            text.take(")")
            members[key] = (items, read_parameters(text))
        else:
            members[key] = read_item(text)
        text.spaces(" \t")
        if text.peek():
            text.take(",")
            text.spaces(" \t")
            if not text.peek():
                raise Refused("structured field: comma at the end")
    return members


def write_bare_item(value):
    if value is True or value is False:
        return f"?{int(value)}"
    if isinstance(value, bytes):
        return f":{base64.b64encode(value).decode()}:"
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write_parameters(parameters):
    out = []
    for key, value in parameters.items():
        out.append(f";{key}" if value is True else f";{key}={write_bare_item(value)}")
    return "".join(out)


def write_item(item):
    return write_bare_item(item[0]) + write_parameters(item[1])


# --- message signatures (RFC 9421) ------------------------------------------


def field(message, name):
    """Section 2.1: all values of a field, stripped and joined."""
    values = [value.strip() for key, value in message["headers"] if key.lower() == name]
    if not values:
        raise Refused(f"{name} is covered but absent")
    return ", ".join(values)


def component(message, item, requests):
    """Section 2: the value of one covered component."""
    name, parameters = item
    parameters = dict(parameters)
    if parameters.pop("req", False):
        if "answers" not in message:
            raise Refused("`req` outside of an answer")
        message = requests[message["answers"]]
    key = parameters.pop("key", None)
    if parameters:
        raise Refused(f"the component parameters {sorted(parameters)} are not used here")
    path, question, query = message.get("target", "").partition("?")
    derived = {
        "@method": message.get("method"),
        "@authority": message.get("authority", "").lower(),
        "@path": path,
        "@query": question + query if question else "?",
        "@status": message.get("status"),
    }
    if name.startswith("@"):
        if not derived.get(name):
            raise Refused(f"{name} does not exist in this message")
        return derived[name]
    value = field(message, name)
    if key is None:
        return value
    # Section 2.1.2: one member of a dictionary, serialized again.
    members = read_dictionary(value)
    if key not in members:
        raise Refused(f"{name} has no member {key}")
    return write_item(members[key])


def signature_base(message, items, parameters, requests):
    """Section 2.5."""
    lines = []
    for item in items:
        identifier = write_item(item)
        if any(line.startswith(identifier + ": ") for line in lines):
            raise Refused(f"{identifier} is covered twice")
        value = component(message, item, requests)
        if "\n" in value or not value.isascii():
            raise Refused(f"{identifier} has no place in a base")
        lines.append(f"{identifier}: {value}")
    inner = "(" + " ".join(write_item(item) for item in items) + ")"
    lines.append(f'"@signature-params": {inner}{write_parameters(parameters)}')
    return "\n".join(lines)


def unbase64url(text):
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(value).decode().rstrip("=") != text:
        raise Refused("base64url is not canonical")
    return value


def verify_raw(jwk, data, signature):
    """Sections 3.3.4 and 3.3.6, with a JWK; ES256 of JWS is the same."""
    try:
        if jwk["kty"] == "OKP" and jwk["crv"] == "Ed25519":
            key = ed25519.Ed25519PublicKey.from_public_bytes(unbase64url(jwk["x"]))
            key.verify(signature, data)
        elif jwk["kty"] == "EC" and jwk["crv"] == "P-256":
            if len(signature) != 64:
                raise Refused("an ECDSA P-256 signature has 64 bytes")
            x, y = (int.from_bytes(unbase64url(jwk[name]), "big") for name in "xy")
            key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            der = utils.encode_dss_signature(r, s)
            key.verify(der, data, ec.ECDSA(hashes.SHA256()))
        else:
            raise Refused("unknown kind of key")
    except InvalidSignature as error:
        raise Refused("the signature does not fit") from error


def verify_digest(message):
    """RFC 9530, section 2."""
    members = read_dictionary(field(message, "content-digest"))
    if list(members) != ["sha-256"]:
        raise Refused("Content-Digest is not exactly one sha-256")
    body = base64.b64decode(message["body"], validate=True)
    if members["sha-256"] != (hashlib.sha256(body).digest(), {}):
        raise Refused("the body does not fit Content-Digest")


def batch_text(base, keyid, value):
    """The text that one signature over many messages signs, and that signature.

    The value is the signature (64 bytes), the number of messages less one, this
    one's index, and the hashes to the root of a tree as in RFC 6962, section 2.1.
    """
    signature, path = value[:64], value[66:]
    if len(value) < 66 or len(path) % 32:
        raise Refused("the value is no signature with a path")
    last, index = value[64], value[65]
    if index > last:
        raise Refused("the index is outside of the tree")
    count = last + 1
    root = hashlib.sha256(b"\0" + base).digest()
    siblings = [path[at : at + 32] for at in range(0, len(path), 32)]
    while last > 0:
        if index % 2 or index < last:
            if not siblings:
                raise Refused("the path is too short")
            other = siblings.pop(0)
            pair = other + root if index % 2 else root + other
            root = hashlib.sha256(b"\1" + pair).digest()
        index, last = index // 2, last // 2
    if siblings:
        raise Refused("the path is too long")
    text = f"karvan-batch/1\n{keyid}\n{count}\n{base64.b64encode(root).decode()}\n"
    return text.encode("ascii"), signature


def verify(message, keys, requests):
    """Verifies a message and returns its base and covered components."""
    inputs = read_dictionary(field(message, "signature-input"))
    signatures = read_dictionary(field(message, "signature"))
    if inputs.keys() != signatures.keys() or len(inputs) != 1:
        raise Refused("expected one signature")
    label = next(iter(inputs))
    items, parameters = inputs[label]
    signature, _ = signatures[label]
    if not isinstance(items, list) or not isinstance(signature, bytes):
        raise Refused("Signature-Input or Signature is of another type")
    if "alg" in parameters:
        raise Refused("the key alone says the algorithm")
    if parameters.get("keyid") not in keys:
        raise Refused(f"unknown key {parameters.get('keyid')}")
    base = signature_base(message, items, parameters, requests)
    signed = base.encode("ascii")
    if str(parameters.get("tag")).endswith("-batch/1"):
        signed, signature = batch_text(signed, parameters["keyid"], signature)
    verify_raw(keys[parameters["keyid"]], signed, signature)
    verify_digest(message)
    return base, [write_item(item) for item in items], parameters


# --- signed documents (RFC 7515, general JSON serialization) ----------------


def canonical(value):
    """RFC 8785, for values without fractions."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        members = (f"{canonical(name)}:{canonical(value[name])}" for name in names)
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, float):
        raise Refused("a fraction in a document")
    return json.dumps(value, ensure_ascii=False)


def verify_document(text, typ, keys):
    """Verifies all signatures; returns the payload and who signed."""
    try:
        document = json.loads(text)
        if set(document) != {"payload", "signatures"}:
            raise Refused("other members than payload and signatures")
        signers = []
        for signature in document["signatures"]:
            if set(signature) != {"protected", "signature"}:
                raise Refused("other members than protected and signature")
            header = json.loads(unbase64url(signature["protected"]))
            if set(header) != {"alg", "kid", "typ"} or header["typ"] != typ:
                raise Refused("another header than expected")
            jwk = keys[header["kid"]]
            if header["alg"] != {"OKP": "EdDSA", "EC": "ES256"}[jwk["kty"]]:
                raise Refused("the algorithm is not the key's")
            data = f"{signature['protected']}.{document['payload']}".encode("ascii")
            verify_raw(jwk, data, unbase64url(signature["signature"]))
            signers.append(header["kid"])
        payload = unbase64url(document["payload"]).decode("utf-8")
        if canonical(json.loads(payload)) != payload:
            raise Refused("the payload is not canonical")
        return json.loads(payload), signers
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"malformed: {error}") from error


# --- the checks --------------------------------------------------------------


class Checks:
    def __init__(self):
        self.good = 0
        self.refused = 0
        self.failures = []

    def expect(self, holds, what):
        self.good += bool(holds)
        if not holds:
            self.failures.append(what)

    def refuse(self, action, what):
        try:
            action()
        except Refused:
            self.refused += 1
        else:
            self.failures.append(f"not refused: {what}")


def altered(message, covered):
    """Yields copies of a message that must not verify."""

    def change(name, alter):
        copied = copy.deepcopy(message)
        alter(copied)
        return name, copied

    headers = [name for name, _ in message["headers"]]
    for at, name in enumerate(headers):
        value = message["headers"][at][1]
        others = [value + "x", "x" + value, value[:-1], ""]
        if name == "Signature":
            raw = base64.b64decode(value.split(":")[1])
            for i in range(len(raw)):
                wrong = raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]
                others.append(f"kvn=:{base64.b64encode(wrong).decode()}:")
        if name == "Signature-Input":
            seconds = re.search(r"created=(\d+)", value).group(1)
            others.append(value.replace(seconds, str(int(seconds) + 1)))
            others.append(value.replace('keyid="AZ', 'keyid="PK').replace("FBR", "SCC"))
            others.append(value.replace(";keyid", ';alg="ed25519";keyid'))
            others.append(re.sub(r"(karvan-[\w-]+)/1", r"\1/2", value))
            others.extend(value.replace(f"{item} ", "", 1) for item in covered[:-1])
        for other in others:
            what = f"{name} = {other[:60]!r}"
            yield change(what, lambda m: m["headers"][at].__setitem__(1, other))
        yield change(f"without {name}", lambda m: m["headers"].pop(at))
        yield change(f"{name} twice", lambda m: m["headers"].append(m["headers"][at]))
    for part in ("method", "authority", "target", "status"):
        if part in message:
            yield change(f"another {part}", lambda m: m.__setitem__(part, m[part] + "1"))
    body = base64.b64decode(message["body"])
    for other in (body + b"x", body[:-1] if body else b"\0"):
        encoded = base64.b64encode(other).decode()
        yield change("another body", lambda m: m.__setitem__("body", encoded))


def required(message):
    """What the Karvan profile wants covered, in this order."""
    present = {name.lower() for name, _ in message["headers"]}
    if "status" in message:
        call = ['"karvan-call"'] if "karvan-call" in present else []
        return ['"@status"', '"content-type"', '"content-digest"', '"karvan-exchange-id"',
                *call, '"signature";req;key="kvn"']
    names = ["@method", "@authority", "@path"] + (["@query"] if "?" in message["target"] else [])
    names += ["content-type", "content-digest"]
    names += ["karvan-" + name for name in ("exchange-id", "agreement", "client", "service")]
    names += [name for name in ("karvan-document", "karvan-call", "karvan-consent")
              if name in present]
    return [f'"{name}"' for name in names + ["karvan-purpose"]]


def check_message(checks, message, keys, requests):
    name = message["name"]
    base, covered, parameters = verify(message, keys, requests)
    checks.expect(base == message["base"], f"{name}: the base differs")
    checks.expect(covered == required(message), f"{name}: covers {covered}")
    wanted = {"created", "keyid", "tag"} | (set() if "status" in message else {"expires"})
    checks.expect(set(parameters) == wanted, f"{name}: has parameters {sorted(parameters)}")
    for what, wrong in altered(message, covered):
        checks.refuse(lambda: verify(wrong, keys, requests), f"{name}: {what}")
    if "answers" in message:
        # The answer must not fit another request, nor the same request signed again.
        others = copy.deepcopy(requests)
        raw = bytearray(base64.b64decode(field(others[message["answers"]], "signature")[5:-1]))
        raw[0] ^= 1
        for entry in others[message["answers"]]["headers"]:
            if entry[0] == "Signature":
                entry[1] = f"kvn=:{base64.b64encode(raw).decode()}:"
        checks.refuse(lambda: verify(message, keys, others), f"{name}: another request")


def check_document(checks, document, keys):
    text, typ = document["text"], document["typ"]
    payload, signers = verify_document(text, typ, keys)
    checks.expect(payload == document["payload"], "the document's payload differs")
    checks.expect(signers == document["signers"], "the document's signers differ")
    checks.refuse(lambda: verify_document(text, "other+jws", keys), "another kind of document")
    for at in range(len(text)):
        wrong = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
        checks.refuse(lambda: verify_document(wrong, typ, keys), f"document, character {at}")


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    messages = given["messages"] + given["batched"]
    requests = {m["name"]: m for m in messages if "method" in m}
    checks = Checks()
    for message in messages:
        try:
            check_message(checks, message, given["keys"], requests)
        except Refused as error:
            checks.failures.append(f"{message['name']}: refused: {error}")
    for document in given["documents"]:
        try:
            check_document(checks, document, given["keys"])
        except Refused as error:
            checks.failures.append(f"document: refused: {error}")
    enough = checks.good >= 3 * len(messages) > 0 and given["batched"] and checks.refused > 0
    for failure in checks.failures:
        print(f"FAILED {failure}")
    print(
        f"{len(messages)} messages and {len(given['documents'])} documents: "
        f"{checks.good} checks hold, {checks.refused} altered copies refused, "
        f"{len(checks.failures)} failures"
    )
    return 0 if enough and not checks.failures else 1


if __name__ == "__main__":
    sys.exit(main())
