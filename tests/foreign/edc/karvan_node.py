#!/usr/bin/env python3
"""Lets an Eclipse EDC connector exchange with Karvan's own node: the example `edc_node`.

    karvan_node.py --jars FOLDER --out FOLDER

The programs must have been built: `cargo build -p karvan -p karvan-federation --bins --examples`.
"""

import os
import shlex
import sys

import interop

# `edc` has put the folder of the shared modules on the path.
import built

PARTICIPANT = "urn:karvan:member:PK/GOV/FBR/customs"


def options(out):
    """What `interop.py` must know of the node."""
    home = os.path.join(os.path.abspath(out), "home")
    node = [built.program("examples/edc_node"), "--home", home]
    return {
        "--node-id": PARTICIPANT,
        "--node-address": "{node}/dsp/2025-1",
        "--karvan": shlex.join(["env", f"KARVAN_DIR={home}", built.program("karvan")]),
        "--node": f"{shlex.join(node)} --port {{port}} --public {{node}} --peer {{edc_id}}={{edc}}",
        "--ready": "http://127.0.0.1:{port}/.well-known/dspace-version",
    }


def main():
    sys.argv.insert(1, "node")
    out = sys.argv[sys.argv.index("--out") + 1]
    for name, value in options(out).items():
        sys.argv += [name, value]
    return interop.main()


if __name__ == "__main__":
    sys.exit(main())
