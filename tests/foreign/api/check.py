#!/usr/bin/env python3
"""Lets openapi-spec-validator and Schemathesis judge the REST interface of a real node."""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

from openapi_spec_validator import validate

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tck"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import behaviour  # noqa: E402
import mtls  # noqa: E402
import webhooks  # noqa: E402
from built import program  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = ROOT / "docs/reference/customs.openapi.json"
# Seconds that Schemathesis may take; the pilot before it takes about half a minute.
SECONDS_MAX = 150
# Seconds for what only an issuer may do, with the issuer's token.
ISSUER_SECONDS_MAX = 45
# Below what the node allows a member (6,000 requests a minute), so that no answer is a 429.
RATE_LIMIT = "90/s"
CUSTOMS, ISSUER = "PK_GOV_FBR_customs", "PK_GOV_TDAP"
# Seconds within which a node must be there.
START_SECONDS_MAX = 60


class Node:
    """The node of Pakistan, as a process."""

    def __init__(self, karvan, folder, log):
        self.command = [karvan, "node", "--config", str(folder / "pk/node.toml")]
        self.ready, self.log = folder / "pk/data/ready.json", log
        self.process, self.local, self.secure = None, None, None

    def start(self):
        """Starts it and waits until it says that it is ready."""
        self.ready.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            if self.process.poll() is not None:
                sys.exit("the node ended: see node.log")
            try:
                ready = json.loads(self.ready.read_text())
                self.local, self.secure = ready["local"], ready["service"]
                return
            except (FileNotFoundError, ValueError):
                time.sleep(0.05)
        sys.exit("the node did not start in time")

    def stop(self, with_signal):
        """Ends it."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.wait(timeout=30)


def main():
    """Runs both and exits with the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--karvan", help="the program; what cargo built unless given")
    parser.add_argument("--out", required=True, help="a folder to work in")
    options = parser.parse_args()
    out = pathlib.Path(options.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    karvan = str(pathlib.Path(options.karvan or program("karvan")).resolve())
    folder = out / "pilot"

    committed = json.loads(DOCUMENT.read_text())
    validate(committed)
    print(f"{DOCUMENT.name} is a valid OpenAPI {committed['openapi']} document", flush=True)

    subprocess.run([karvan, "pilot", "--once", "--dir", str(folder)], check=True)
    known, sha256 = mtls.certificate(out, "registered")
    stranger, _ = mtls.certificate(out, "stranger")
    mtls.configure(folder / "pk/node.toml", sha256, CUSTOMS)
    systems = webhooks.Systems(out)
    systems.configure(folder / "pk/node.toml")
    node = Node(karvan, folder, out / "node.log")
    try:
        node.start()
        base = node.local + "/api/customs/v1"
        with urllib.request.urlopen(base + "/openapi.json", timeout=10) as answer:
            if json.load(answer) != committed:
                sys.exit("the node serves another document than the committed one")
        token, issuer = (
            (folder / f"pk/tokens/{name}.token").read_text().strip() for name in (CUSTOMS, ISSUER)
        )
        mtls.judge(node.secure, folder / "pk/node.crt", known, stranger, token)
        webhooks.judge(systems, karvan, folder / "pk")
        api = behaviour.Api(token)

        def restart():
            node.start()
            api.base = node.local + "/api/customs/v1"

        api.base = base
        behaviour.keys(api)
        behaviour.preconditions(api)
        behaviour.inbox(api)
        behaviour.words(api)
        behaviour.kills(api, restart, node.stop)
        verdict = judge(api.base, token, out, SECONDS_MAX)
        of_issuer = ["--include-path-regex", "/certificates|/answers$"]
        verdict = verdict or judge(api.base, issuer, out, ISSUER_SECONDS_MAX, of_issuer)
        with urllib.request.urlopen(node.local + "/health", timeout=10) as answer:
            if answer.status != 200:
                sys.exit("the node is not well after the test")
    finally:
        node.stop(signal.SIGTERM)
    sys.exit(verdict)


def judge(base, token, out, seconds, choice=()):
    """Lets Schemathesis judge the operations that are chosen; returns its exit code."""
    tool = pathlib.Path(sys.executable).parent / "schemathesis"
    command = [
        str(tool), "--config-file", str(HERE / "schemathesis.toml"), "run",
        base + "/openapi.json", "--url", base, "-H", f"Authorization: Bearer {token}",
        "--max-examples", "10", "--max-time", str(seconds), "--rate-limit", RATE_LIMIT,
        "--seed", "1", "--no-color", *choice,
    ]
    return subprocess.run(command, cwd=out).returncode


if __name__ == "__main__":
    main()
