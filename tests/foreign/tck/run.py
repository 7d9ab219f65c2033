#!/usr/bin/env python3
"""Runs the official compatibility kit of the Dataspace Protocol against a node.

    run.py --jars FOLDER --out FOLDER --base-url URL --root-url URL --negotiation-webhook URL
           --transfer-webhook URL --participant-id ID --authorization VALUE [--node COMMAND]

Every value may hold `{port}`, `{webhooks}` and `{callback}`: free ports of loopback for the node,
for its webhooks, and for the kit's own server. `--node` starts the node with that command line,
waits for its version document, and ends it afterwards. Exit code 0 means: every id of `tests.json`
was reported SUCCESSFUL, and nothing else. Whatever else happens is 1, and says which ids.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading

import service
import verdict

HERE = os.path.dirname(os.path.abspath(__file__))
VERSION_PATH = "/.well-known/dspace-version"
# The kit waits this long for each step of a test, and there are a few steps in each.
WAIT_SECONDS = 10
RUN_SECONDS = 420


def table():
    """What the kit tests, and what the node under test has to do for each test."""
    with open(os.path.join(HERE, "tests.json"), encoding="utf-8") as file:
        return json.load(file)


def properties(tests, options):
    """The kit's settings, as key and value."""
    values = {
        "dataspacetck.ansi": "false",
        "dataspacetck.host": "127.0.0.1",
        "dataspacetck.port": str(options.callback_port),
        "dataspacetck.callback.address": f"http://127.0.0.1:{options.callback_port}",
        "dataspacetck.dsp.default.wait": str(options.wait),
        # Otherwise the kit would test a node of its own.
        "dataspacetck.dsp.local.connector": "false",
    }
    connector = {
        "agent.id": options.participant_id,
        "http.url": options.base_url,
        "http.base.url": options.root_url,
        "http.headers.authorization": options.authorization,
        "negotiation.initiate.url": options.negotiation_webhook,
        "transfer.initiate.url": options.transfer_webhook,
    }
    values |= {f"dataspacetck.dsp.connector.{key}": value for key, value in connector.items()}
    for test in tests["tests"]:
        name = test["id"].replace(":", "_").replace("-", "_")
        if dataset := test.get("dataset") or test.get("absent"):
            values[f"{name}_DATASETID"] = dataset
        if offer := test.get("offer"):
            values[f"{name}_OFFERID"] = offer
        if agreement := test.get("agreement"):
            values[f"{name}_AGREEMENTID"] = agreement
            values[f"{name}_FORMAT"] = tests["format"]
    return values


def escaped(text):
    """A key or value as a Java properties file spells it."""
    plain = "".join(f"\\{char}" if char in "\\:=#! " else char for char in text)
    return plain.replace("\n", "\\n").replace("\t", "\\t")


def run(command, seconds, log):
    """Runs a command and shows its output; returns that and the exit code, None if cut off."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        expired = threading.Event()

        def cut():
            expired.set()
            process.kill()

        timer = threading.Timer(seconds, cut)
        timer.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.strip():
                print(line, end="", flush=True)
            log.write(line)
        code = process.wait()
        timer.cancel()
    return "".join(lines), None if expired.is_set() else code


def judge(options):
    """Runs the kit, with the node around it if it is to be started, and judges the output."""
    tests = table()
    expected = [test["id"] for test in tests["tests"]]
    if options.only:
        expected = [name for name in expected if name in options.only]
    os.makedirs(options.out, exist_ok=True)
    settings = os.path.join(options.out, "tck.properties")
    with open(settings, "w", encoding="utf-8") as file:
        for key, value in properties(tests, options).items():
            file.write(f"{escaped(key)}={escaped(value)}\n")
    kit = os.path.join(HERE, "RunKit.java")
    command = service.java(options.jars, kit, settings, *options.only)
    log_path = os.path.join(options.out, "kit.log")
    with node(options) as started, open(log_path, "w", encoding="utf-8") as log:
        text, code = run(command, options.time_limit, log)
        if started:
            print(f"the node uses {started.memory_mib()} MiB")
    return verdict.judge(text, code, expected)


def node(options):
    """The node under test while the block runs, or nothing when it runs already."""
    if not options.node:
        return contextlib.nullcontext()
    log = os.path.join(options.out, "node.log")
    return service.Service("node", options.node, options.root_url + VERSION_PATH, log)


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jars", required=True, help="folder with the kit's jars, see pom.xml")
    parser.add_argument("--out", required=True, help="folder for settings, logs and reports")
    node = ["base-url", "root-url", "negotiation-webhook", "transfer-webhook", "participant-id"]
    for name in [*node, "authorization"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--node", help="command line that starts the node under test")
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="run these tests only")
    parser.add_argument("--port", type=int, help="what {port} stands for")
    parser.add_argument("--webhooks-port", type=int, help="what {webhooks} stands for")
    parser.add_argument("--callback-port", type=int, help="what {callback} stands for")
    parser.add_argument("--wait", type=int, default=WAIT_SECONDS, help="seconds for each step")
    parser.add_argument("--time-limit", type=float, default=RUN_SECONDS, help="seconds for all")
    options = parser.parse_args(argv)
    known = {test["id"] for test in table()["tests"]}
    if unknown := set(options.only) - known:
        parser.error(f"tests.json has no {', '.join(sorted(unknown))}")
    return fill(options)


def fill(options):
    """Chooses the ports that were not given, and puts them where the values name them."""
    names = ["port", "webhooks_port", "callback_port"]
    for name, port in zip(names, service.free_ports(len(names))):
        setattr(options, name, getattr(options, name) or port)
    ports = {name.removesuffix("_port"): str(getattr(options, name)) for name in names}
    for name, value in vars(options).items():
        if isinstance(value, str):
            for word, port in ports.items():
                value = value.replace(f"{{{word}}}", port)
            setattr(options, name, value)
    return options


def main():
    options = arguments(sys.argv[1:])
    try:
        result = judge(options)
    except service.Broken as error:
        print(f"FAULT {error}\ntest result: FAILED. 0 passed; 1 failed")
        return 1
    print(result.text())
    with open(os.path.join(options.out, "junit.xml"), "w", encoding="utf-8") as file:
        file.write(result.junit())
    return 0 if result.good else 1


if __name__ == "__main__":
    sys.exit(main())
