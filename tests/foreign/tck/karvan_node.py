#!/usr/bin/env python3
"""Runs the official kit against Karvan's own node: the example `dsp_node`.

    karvan_node.py --jars FOLDER --out FOLDER [OPTIONS OF run.py]

The example must have been built: `cargo build -p karvan-federation --example dsp_node`.
"""

import os
import shlex
import sys

import built
import run

TOKEN = "Bearer token-of-the-kit"
# The member of the test nation; the example prints it when it starts.
PARTICIPANT = "urn:karvan:member:PK/GOV/FBR/customs"


def options(program):
    """What `run.py` must know of the node."""
    script = os.path.join(run.HERE, "tests.json")
    node = [program, "--script", script, "--authorization", TOKEN]
    base = "http://127.0.0.1:{port}/dsp"
    hooks = "http://127.0.0.1:{webhooks}"
    return {
        "--node": shlex.join(node) + " --port {port} --webhooks {webhooks}",
        "--base-url": f"{base}/2025-1",
        "--root-url": base,
        "--negotiation-webhook": f"{hooks}/negotiations",
        "--transfer-webhook": f"{hooks}/transfers",
        "--participant-id": PARTICIPANT,
        "--authorization": TOKEN,
    }


def main():
    for name, value in options(built.program("examples/dsp_node")).items():
        sys.argv += [name, value]
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
