"""The interface over TLS: with a registered client certificate, with another one, with none."""

import datetime
import hashlib
import http.client
import json
import socket
import ssl
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BASE = "/api/customs/v1"
# Seconds for one request.
SECONDS_MAX = 30


def certificate(folder, name):
    """Makes a key and a certificate of its own; returns their file and the SHA-256."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} (fictitious)")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path = folder / f"{name}.pem"
    path.write_bytes(private + made.public_bytes(pem))
    der = made.public_bytes(serialization.Encoding.DER)
    return path, hashlib.sha256(der).hexdigest()


def configure(config, sha256, user):
    """Has the node listen with TLS and take the certificate for the user's token."""
    with open(config, "a", encoding="utf-8") as file:
        file.write(
            '\n[service]\nlisten-tls = "127.0.0.1:0"\n\n'
            f'[[service.certificate]]\nsha256 = "{sha256}"\nuser = "{user}"\n'
        )


class Line:
    """The way of one client to the node."""

    def __init__(self, url, server, client=None, newest=None):
        self.address = urllib.parse.urlsplit(url)
        self.context = ssl.create_default_context(cafile=server)
        # The node's own certificate is trusted as such, without its authority.
        self.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if newest:
            self.context.maximum_version = newest
        if client:
            self.context.load_cert_chain(client)

    def ask(self, method, path, body=None, **fields):
        """Returns status and JSON body."""
        address = (self.address.hostname, self.address.port)
        line = http.client.HTTPSConnection(*address, timeout=SECONDS_MAX, context=self.context)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        if body is not None:
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        try:
            line.request(method, path, body=body, headers=headers)
            answer = line.getresponse()
            text = answer.read()
            try:
                return answer.status, json.loads(text)
            except ValueError:
                return answer.status, text
        finally:
            line.close()


def expect(found, status, what):
    """Fails unless the answer has the status."""
    if found[0] != status:
        raise SystemExit(f"over TLS, {what}: expected {status}, got {found[0]}: {found[1]}")
    return found[1]


def judge(url, server, known, stranger, token):
    """Runs all of it against a node that listens."""
    bearer = {"Authorization": f"Bearer {token}"}
    tasks, health = f"{BASE}/tasks?limit=1", "/health"
    for newest in (None, ssl.TLSVersion.TLSv1_2):
        registered = Line(url, server, known, newest)
        other, none = Line(url, server, stranger, newest), Line(url, server, None, newest)
        expect(registered.ask("GET", tasks), 200, "a registered certificate")
        expect(other.ask("GET", tasks), 401, "a certificate that nobody registered")
        expect(none.ask("GET", tasks), 401, "neither certificate nor token")
        expect(none.ask("GET", tasks, **bearer), 200, "a token without certificate")
        expect(other.ask("GET", tasks, **bearer), 200, "a token beside a strange certificate")
        wrong = {"Authorization": "Bearer " + "0" * 64}
        expect(none.ask("GET", tasks, **wrong), 401, "a token that nobody made")
        expect(none.ask("GET", f"{BASE}/openapi.json"), 200, "the document, for everybody")
        expect(registered.ask("GET", health), 404, "what is no part of the interface")
    words = {"text": "closed by the system (fictitious)"}
    path = f"{BASE}/tasks/9007199254740991/resolution"
    expect(registered.ask("POST", path, words, Idempotency_Key="t-1"), 404, "a task of nobody")
    found = Line(url, server, known).ask("POST", f"{BASE}/inbox/leases?limit=1")
    lease = expect(found, 200, "a lease under the certificate")["lease"]
    path = f"{BASE}/inbox/leases/{lease}/acknowledgement"
    expect(none.ask("POST", path, **bearer), 200, "the same inbox under the token")
    old = Line(url, server, known)
    old.context.minimum_version = ssl.TLSVersion.TLSv1_1
    old.context.maximum_version = ssl.TLSVersion.TLSv1_1
    old.context.set_ciphers("DEFAULT:@SECLEVEL=0")
    refuses(lambda: old.ask("GET", tasks), "TLS 1.1")
    untrusting = Line(url, server, known)
    untrusting.context = ssl.create_default_context()
    refuses(lambda: untrusting.ask("GET", tasks), "a client that does not know the node")
    plain(url)
    print("TLS 1.3 and 1.2, with and without a client certificate", flush=True)


def refuses(attempt, what):
    """Fails unless no connection comes about."""
    try:
        found = attempt()
    except OSError:
        return
    raise SystemExit(f"over TLS, {what} was answered: {found[0]}")


def plain(url):
    """Fails when the listener answers HTTP without TLS."""
    address = urllib.parse.urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS_MAX) as line:
        line.sendall(f"GET {BASE}/tasks HTTP/1.1\r\nHost: node\r\n\r\n".encode())
        try:
            answer = line.recv(64)
        except ConnectionResetError:
            return
    if answer.startswith(b"HTTP/"):
        raise SystemExit(f"the listener with TLS answers without it: {answer!r}")
