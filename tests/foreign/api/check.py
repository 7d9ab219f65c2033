#!/usr/bin/env python3
"""Lets openapi-spec-validator and Schemathesis judge the REST interface of a real node."""

import argparse
import json
import pathlib
import random
import shutil
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
import page  # noqa: E402
import reach  # noqa: E402
import tally  # noqa: E402
import webhooks  # noqa: E402
from built import program  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = ROOT / "docs/reference/customs.openapi.json"
# Seconds that Schemathesis may take; the pilot before it takes about half a minute.
SECONDS_MAX = 130
# Seconds for what only an issuer may do, with the issuer's token.
ISSUER_SECONDS_MAX = 40
# Below what the node allows a member (6,000 requests a minute), so that no answer is a 429.
RATE_LIMIT = "90/s"
CUSTOMS, ISSUER, SECOND = "PK_GOV_FBR_customs", "PK_GOV_TDAP", "operator"
PARTNER = "AZ_GOV_SCC_customs"
# How often Schemathesis takes a number that exists, instead of one that it makes up.
KNOWN_SHARE = 0.5
# Commodity codes of which both tariffs know something.
CODES = ["10063000", "39011000", "74081100", "08022200"]
# Seconds within which a node must be there, answer that it is well, and be gone.
START_SECONDS_MAX = 60


class Node:
    """A node, as a process."""

    def __init__(self, karvan, folder, log):
        self.command = [karvan, "node", "--config", str(folder / "node.toml")]
        self.ready, self.log = folder / "data/ready.json", log
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
                self.local, self.secure = ready["local"], ready.get("service")
                return
            except (FileNotFoundError, ValueError):
                time.sleep(0.05)
        sys.exit("the node did not start in time")

    @property
    def base(self):
        """Where the interface is."""
        return self.local + tally.BASE

    def stop(self, with_signal):
        """Ends it."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.wait(timeout=START_SECONDS_MAX)


def seed_of_commit():
    """Returns a seed that is new with each commit, so that a red run is red when repeated."""
    asked = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    found = subprocess.run(asked, capture_output=True, text=True)
    if found.returncode:
        return random.SystemRandom().randrange(2**32)
    return int(found.stdout[:8], 16)


def main():
    """Runs all of it and exits with the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--karvan", help="the program; what cargo built unless given")
    parser.add_argument("--out", required=True, help="a folder to work in")
    parser.add_argument("--seed", type=int, help="of the commit unless given")
    options = parser.parse_args()
    out = pathlib.Path(options.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    karvan = str(pathlib.Path(options.karvan or program("karvan")).resolve())
    folder = out / "pilot"
    seed = seed_of_commit() if options.seed is None else options.seed
    print(f"seed {seed}; --seed {seed} repeats this run", flush=True)

    committed = json.loads(DOCUMENT.read_text())
    validate(committed)
    print(f"{DOCUMENT.name} is a valid OpenAPI {committed['openapi']} document", flush=True)

    # What an earlier run left would change what this one finds.
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([karvan, "pilot", "--once", "--dir", str(folder)], check=True)
    known, sha256 = mtls.certificate(out, "registered")
    stranger, _ = mtls.certificate(out, "stranger")
    mtls.configure(folder / "pk/node.toml", sha256, CUSTOMS)
    systems = webhooks.Systems(out)
    systems.configure(folder / "pk/node.toml")
    node = Node(karvan, folder / "pk", out / "node.log")
    partner = Node(karvan, folder / "az", out / "partner.log")
    counts = tally.Tally(committed)
    try:
        node.start()
        partner.start()
        document = node.base + "/openapi.json"
        with urllib.request.urlopen(document, timeout=START_SECONDS_MAX) as answer:
            if json.load(answer) != committed:
                sys.exit("the node serves another document than the committed one")
        token, issuer, second, importer = (
            (folder / f"{nation}/tokens/{name}.token").read_text().strip()
            for nation, name in (
                ("pk", CUSTOMS), ("pk", ISSUER), ("pk", SECOND), ("az", PARTNER)
            )
        )
        mtls.judge(node.secure, folder / "pk/node.crt", known, stranger, token)
        webhooks.judge(systems, karvan, folder / "pk")
        page.judge(karvan, folder, out)
        api = behaviour.Api(token, counts, node.base)
        parties = reach.Parties(
            issuer=behaviour.Api(issuer, counts, node.base),
            exporter=api,
            importer=behaviour.Api(importer, counts, partner.base),
            second=behaviour.Api(second, counts, node.base),
        )
        number = random.Random(seed).randrange(30_000, 99_990)
        reach.judge(parties, f"{number:05}", karvan, folder / "az")
        # From here on nothing changes at the node but what is asked of it.
        partner.stop(signal.SIGTERM)

        def restart():
            node.start()
            api.base = node.base

        behaviour.keys(api)
        behaviour.preconditions(api)
        behaviour.inbox(api)
        behaviour.words(api)
        behaviour.kills(api, restart, node.stop)
        run = Run(node.base, out, seed, configure(api, out))
        verdict = run.judge("customs", token, SECONDS_MAX)
        of_issuer = ["--include-path-regex", "/certificates|/answers$"]
        verdict = run.judge("issuer", issuer, ISSUER_SECONDS_MAX, of_issuer) or verdict
        with urllib.request.urlopen(node.local + "/health", timeout=START_SECONDS_MAX) as answer:
            if answer.status != 200:
                sys.exit("the node is not well after the test")
    finally:
        node.stop(signal.SIGTERM)
        partner.stop(signal.SIGTERM)
    for report in run.reports:
        print(f"{report.name}: {counts.read(report)} answers")
    if never := counts.verdict():
        sys.exit(f"seed {seed}: never answered with success: {', '.join(never)}")
    sys.exit(verdict)


def configure(api, out):
    """Writes the configuration of Schemathesis with numbers that exist at the node."""
    known = {
        name: sorted({str(row[member]) for row in api.ask("GET", path)[2]["rows"]})
        for name, path, member in (
            ("certificate", "/certificates?limit=200", "number"),
            ("claim", "/claims?limit=200", "claim"),
            ("declaration", "/export-declarations?limit=200", "number"),
            ("ucr", "/export-declarations?limit=200", "ucr"),
            ("verification", "/verifications?limit=200", "id"),
        )
    }
    tasks = api.ask("GET", "/tasks?limit=200")[2]["rows"]
    known |= {"code": CODES, "item": [1], "task": [row["number"] for row in tasks]}
    lines, chosen = [f"hooks = {json.dumps(str(HERE / 'media.py'))}", ""], ["[parameters]"]
    for name, values in known.items():
        if not values:
            sys.exit(f"the pilot has no {name} that could be asked for")
        # A list of plain text and numbers is written alike in JSON and in TOML.
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}", ""]
        binding = f'{{ dictionary = "{name}", probability = {KNOWN_SHARE} }}'
        chosen.append(f'"path.{name}" = {binding}')
    file = out / "schemathesis.toml"
    shared = (HERE / "schemathesis.toml").read_text()
    file.write_text("\n".join([*lines, *chosen, "", shared]), encoding="utf-8")
    return file


class Run:
    """What the passes of Schemathesis have in common."""

    def __init__(self, base, out, seed, config):
        self.base, self.out, self.seed, self.config = base, out, seed, config
        self.reports = []

    def judge(self, name, token, seconds, choice=()):
        """Lets Schemathesis judge the operations that are chosen; returns its exit code."""
        report = self.out / f"{name}.ndjson"
        self.reports.append(report)
        tool = pathlib.Path(sys.executable).parent / "schemathesis"
        command = [
            str(tool), "--config-file", str(self.config), "run",
            self.base + "/openapi.json", "--url", self.base,
            "-H", f"Authorization: Bearer {token}", "--max-examples", "10",
            "--max-time", str(seconds), "--rate-limit", RATE_LIMIT, "--seed", str(self.seed),
            "--report", "ndjson", "--report-ndjson-path", str(report), "--no-color", *choice,
        ]
        return subprocess.run(command, cwd=self.out).returncode


if __name__ == "__main__":
    main()
