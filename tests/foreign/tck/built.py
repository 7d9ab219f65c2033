"""Finds the programs that cargo has built."""

import json
import os
import subprocess

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")


def program(name):
    """The path of a program of the development profile, such as `examples/dsp_node`."""
    command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    path = os.path.join(json.loads(told)["target_directory"], "debug", name)
    if not os.path.exists(path):
        raise SystemExit(f"{path} is not built; see the head of this program")
    return path
