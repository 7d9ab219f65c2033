"""Webhooks over TLS: an authority of one's own, tries with pauses, dead letters, alarms, replay."""

import base64
import datetime
import hashlib
import hmac
import http.server
import ipaddress
import json
import ssl
import subprocess
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

MEMBER = "PK/GOV/FBR/customs"
# Tries that a system answers with a failure before a notice is given up, as the node has it.
FAILURES_MAX = 12
# The longest pause between two tries that the test sets, in seconds; half of it is random.
PAUSE_MAX = 0.8
# Seconds within which something must have happened.
SECONDS_MAX = 60


def authority(folder, name):
    """Makes an authority and a certificate of it for this machine; returns the files of both."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def make(subject, key, issuer, signer, *extensions):
        def called(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{text} (fictitious)")])

        builder = (
            x509.CertificateBuilder()
            .subject_name(called(subject))
            .issuer_name(called(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    is_authority = (x509.BasicConstraints(ca=True, path_length=0), True)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    trusted, served = folder / f"{name}-authority.pem", folder / f"{name}-system.pem"
    trusted.write_bytes(make(name, root, name, root, is_authority))
    private = own.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    served.write_bytes(private + make(f"{name} system", own, name, root, (address, False)))
    return trusted, served


class Receiver:
    """An agency's system: takes posts over TLS and answers as it is told."""

    def __init__(self, name, served, answers):
        self.name, self.posts, self.answers = name, [], answers
        self.secret, self.lock = None, threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One post."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):
                """Notes the post and answers."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    status = receiver.answers(len(receiver.posts), json.loads(body)["number"])
                    receiver.posts.append((time.monotonic(), dict(self.headers), body, status))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(served)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/karvan"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, number):
        """Returns the posts of a notice."""
        with self.lock:
            return [post for post in self.posts if json.loads(post[2])["number"] == number]

    def numbers(self):
        """Returns the numbers of notices in the order of their posts."""
        with self.lock:
            return [json.loads(post[2])["number"] for post in self.posts]

    def check_signatures(self):
        """Every post is signed with the secret, as Standard Webhooks 1.0 says."""
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        with self.lock:
            posts = list(self.posts)
        for _, headers, body, _ in posts:
            headers = {name.lower(): value for name, value in headers.items()}
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            if f"v1,{wanted}" not in headers["webhook-signature"].split(" "):
                raise SystemExit(f"{self.name}: a post is not signed: {headers}")


class Systems:
    """The systems that are told: one stumbles, one refuses, one fails, one is a stranger."""

    def __init__(self, folder):
        ours, served = authority(folder, "agency")
        _, forged = authority(folder, "stranger")
        self.first = None
        self.mended = threading.Event()
        self.stumbles = Receiver("stumbles", served, lambda count, _: 503 if count < 3 else 200)
        self.refuses = Receiver("refuses", served, self.refusing)
        self.fails = Receiver("fails", served, lambda *_: 200 if self.mended.is_set() else 500)
        self.stranger = Receiver("stranger", forged, lambda *_: 200)
        self.all = [self.stumbles, self.refuses, self.fails, self.stranger]
        self.authorities = ours

    def refusing(self, count, _):
        """Refuses the first notice for good, until it is mended."""
        return 410 if count == 0 else 200

    def configure(self, config):
        """Has the node tell them, with short pauses."""
        with open(config, "a", encoding="utf-8") as file:
            for system in self.all:
                file.write(
                    f'\n[[webhook]]\nname = "{system.name}"\nmember = "{MEMBER}"\n'
                    f'url = "{system.url}"\nauthorities = "{self.authorities}"\n'
                )
            longest = int(PAUSE_MAX * 1000)
            file.write(f'\n[exchange]\nretry-first = "100ms"\nretry-longest = "{longest}ms"\n')


def wait(what, condition):
    """Waits until something holds."""
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"webhooks: {what} did not happen in {SECONDS_MAX} s")
        time.sleep(0.1)


def judge(systems, karvan, folder):
    """Runs all of it against a node that runs."""

    def ask(*words):
        command = [karvan, *words, "--dir", str(folder), "--json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    def state(name):
        return next(row for row in ask("webhooks", "list") if row["name"] == name)

    for system in systems.all:
        system.secret = ask("webhooks", "secret", system.name)["secret"]

    stumbles = systems.stumbles
    wait("a notice after three failures", lambda: len(set(stumbles.numbers())) > 1)
    first = stumbles.numbers()[0]
    tries = stumbles.of(first)
    if [status for *_, status in tries] != [503, 503, 503, 200]:
        raise SystemExit(f"a notice that was taken at the fourth try: {tries}")
    fields = [{name.lower(): value for name, value in headers.items()} for _, headers, *_ in tries]
    ids = {each["webhook-id"] for each in fields}
    bodies = {body for _, _, body, _ in tries}
    if len(ids) != 1 or len(bodies) != 1:
        raise SystemExit("a notice changed from try to try")
    order = list(dict.fromkeys(stumbles.numbers()))
    if order != sorted(order) or any(n != first for n in stumbles.numbers()[:4]):
        raise SystemExit(f"notices are out of order: {stumbles.numbers()}")

    wait("a dead letter of who refuses", lambda: state("refuses")["deadLetters"] == 1)
    dead = ask("webhooks", "dead", "refuses")
    if dead[0]["number"] != first or "410" not in dead[0]["cause"]:
        raise SystemExit(f"the dead letter says something else: {dead}")
    wait("the next notice after it", lambda: len(systems.refuses.posts) > 1)
    ask("webhooks", "replay", "refuses")
    wait("the replayed notice", lambda: len(systems.refuses.of(first)) == 2)
    wait("no dead letter any more", lambda: state("refuses")["deadLetters"] == 0)

    fails = systems.fails
    wait("a dead letter of who fails", lambda: state("fails")["deadLetters"] >= 1)
    times = [at for at, *_ in fails.of(first)]
    if len(times) != FAILURES_MAX:
        raise SystemExit(f"given up after {len(times)} tries, not {FAILURES_MAX}")
    pauses = [later - earlier for earlier, later in zip(times, times[1:])]
    if min(pauses[4:]) < PAUSE_MAX / 2:
        raise SystemExit(f"later tries come without their pause: {pauses}")
    systems.mended.set()
    ask("webhooks", "replay", "fails")
    wait("what was given up, mended", lambda: fails.of(first)[-1][3] == 200)

    wait("tries at a stranger", lambda: state("stranger")["attempts"] > 2)
    found = state("stranger")
    if systems.stranger.posts or found["deadLetters"] or found["delivered"] or not found["cause"]:
        raise SystemExit(f"a system of another authority: {found}, {systems.stranger.posts}")
    alarms = [alarm["text"] for alarm in ask("alarms") if alarm["code"] == "webhook-dead"]
    for name in ("refuses", "fails"):
        if not any(f"`{name}` gave notice {first} up" in text for text in alarms):
            raise SystemExit(f"no alarm about {name}: {alarms}")
    for system in (stumbles, systems.refuses, fails):
        system.check_signatures()
    print(f"webhooks over TLS: {len(times)} tries, dead letters, alarms, replays", flush=True)
