#!/usr/bin/env python3
"""Lets an Eclipse EDC connector exchange with another one, or with a Karvan node, both ways.

    interop.py alone --jars FOLDER --out FOLDER [--record]
    interop.py node --jars FOLDER --out FOLDER --node-id ID --node-address URL
               --karvan COMMAND [--node COMMAND --ready URL] [--dataset ID]

`alone` proves this program and the connector: two connectors, whose messages must also have the
shape of those in `testdata`, which `--record` writes anew. In `node`, every value may hold
`{port}`, a free port for the node; `{node}`, an address that leads to that port and records what
passes; `{edc}`, the connector's address for peers, and `{edc_id}`. Exit code 0: all steps held on
both sides. OUT/messages.json has every message that passed, with its answer.
"""

import argparse
import contextlib
import json
import os
import sys

import edc
import exchange
import karvan
import loopback
import service

HERE = os.path.dirname(os.path.abspath(__file__))
# Never `edc` alone: as a prefix of the connector's own context it is no id of anybody.
CONSUMER, PROVIDER, CONNECTOR = "edc-consumer", "edc-provider", "edc-connector"
DATASET = "vehicle-register"
PERMISSION = {
    "action": "use",
    "constraint": [
        {
            "leftOperand": "urn:karvan:policy:v1:purpose",
            "operator": "eq",
            "rightOperand": "border-control",
        }
    ],
}
# Messages kept as examples: the type, what else must be in the body, and the name of the file.
EXAMPLES = [
    ("CatalogRequestMessage", "filter", "catalog-request.json"),
    ("ContractRequestMessage", "callbackAddress", "contract-request.json"),
    ("ContractAgreementMessage", "agreement", "contract-agreement.json"),
    ("TransferRequestMessage", "agreementId", "transfer-request.json"),
    ("TransferStartMessage", "dataAddress", "transfer-start.json"),
    ("TransferSuspensionMessage", "reason", "transfer-suspension.json"),
]
TAIL_MESSAGES = 3


def alone(options, recorder, plane):
    """One connector is the consumer, the other one the provider."""
    with contextlib.ExitStack() as stack:
        sides = []
        for name in (CONSUMER, PROVIDER):
            address = f"{recorder.url}/{name}"
            side = stack.enter_context(edc.Edc(name, options.jars, options.out, address))
            recorder.targets[name] = side.protocol
            side.attach_data_plane(plane.url)
            sides.append(side)
        consumer, provider = sides
        provider.offer(DATASET, PERMISSION)
        held = exchange.Exchange(consumer, provider).run(DATASET, PERMISSION)
        print(f"each connector uses {consumer.service.memory_mib()} MiB")
    for kind, member, name in EXAMPLES:
        compare(example(recorder.records, kind, member), name, options.record)
        held += 1
    return held


def example(records, kind, member):
    """The first message of a type that has a member."""
    for record in records:
        body = record["body"] or {}
        if body.get("@type") == kind and member in body:
            kept = {"Authorization", "Content-Type"}
            headers = {k: v for k, v in record["headers"].items() if k in kept}
            return {**record, "headers": headers}
    raise edc.Unexpected(f"no {kind} with {member} was sent")


def compare(message, name, write):
    """Sees that a message has the shape of the recorded one, or records it."""
    path = os.path.join(HERE, "testdata", name)
    if write:
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(message, indent=2) + "\n")
    with open(path, encoding="utf-8") as file:
        recorded = json.load(file)
    if shape(recorded) != shape(message):
        raise edc.Unexpected(f"{json.dumps(message)} has not the shape of {name}")
    print(f"passed the shape of {name}")


def shape(value):
    """The names of members and the kinds of values."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(member)) for member in value})
    return type(value).__name__


def node(options, recorder, plane):
    """The connector is consumer of the node's dataset, then provider of its own."""
    address = f"{recorder.url}/{CONNECTOR}"
    (port,) = service.free_ports(1)
    recorder.targets["node"] = f"http://127.0.0.1:{port}"
    with edc.Edc(CONNECTOR, options.jars, options.out, address) as connector:
        recorder.targets[CONNECTOR] = connector.protocol
        connector.attach_data_plane(plane.url)
        words = {
            "{port}": str(port),
            "{node}": f"{recorder.url}/node",
            "{edc}": connector.address,
            "{edc_id}": CONNECTOR,
        }
        fill(options, words)
        started = contextlib.nullcontext()
        if options.node:
            log = os.path.join(options.out, "node.log")
            started = service.Service("node", options.node, options.ready, log)
        with started:
            ours = karvan.KarvanNode(options.node_id, options.node_address, options.karvan)
            held = exchange.Exchange(connector, ours).run(options.dataset, PERMISSION)
            connector.offer(DATASET, PERMISSION)
            held += exchange.Exchange(ours, connector).run(DATASET, PERMISSION)
    return held


def fill(options, words):
    """Puts values for the words in braces."""
    for name, value in vars(options).items():
        if isinstance(value, str):
            for word, put in words.items():
                value = value.replace(word, put)
            setattr(options, name, value)


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    modes = parser.add_subparsers(dest="mode", required=True)
    for mode in ("alone", "node"):
        mode = modes.add_parser(mode)
        mode.add_argument("--jars", required=True, help="folder with the jars, see pom.xml")
        mode.add_argument("--out", required=True, help="folder for settings, logs and messages")
    modes.choices["alone"].add_argument("--record", action="store_true", help="write testdata")
    more = modes.choices["node"]
    more.add_argument("--node-id", required=True, help="participant id of the node")
    more.add_argument("--node-address", required=True, help="its address for peers, with version")
    more.add_argument("--karvan", required=True, help="program and options that command the node")
    more.add_argument("--node", help="command line that starts the node")
    more.add_argument("--ready", help="URL that answers 200 once the node is ready")
    more.add_argument("--dataset", default=DATASET, help="what the node offers")
    options = parser.parse_args(argv)
    if options.mode == "node" and options.node and not options.ready:
        parser.error("--node needs --ready")
    return options


def main():
    options = arguments(sys.argv[1:])
    os.makedirs(options.out, exist_ok=True)
    mode = {"alone": alone, "node": node}[options.mode]
    with loopback.Recorder() as recorder, loopback.DataPlane() as plane:
        try:
            held = mode(options, recorder, plane)
        except (edc.Refused, edc.Unexpected, service.Broken) as error:
            for record in recorder.records[-TAIL_MESSAGES:]:
                print(json.dumps(record))
            print(f"FAILED {error}\ntest result: FAILED. 0 passed; 1 failed")
            return 1
        finally:
            with open(os.path.join(options.out, "messages.json"), "w", encoding="utf-8") as file:
                json.dump(recorder.records, file, indent=1)
    print(f"test result: ok. {held} passed; 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
