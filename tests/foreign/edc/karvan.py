"""A Karvan node as a participant of an exchange, seen through its command line only.

Each method is one command that prints JSON. This file is the only place that knows the words.
"""

import json
import shlex
import subprocess

import edc

COMMAND_SECONDS = 60


class KarvanNode:
    """A running node; `command` is the program with the options that name the node."""

    def __init__(self, participant, address, command):
        self.participant, self.address = participant, address
        self.command = shlex.split(command)

    def ask_node(self, *words):
        done = subprocess.run(
            [*self.command, *words, "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=COMMAND_SECONDS,
        )
        if done.returncode != 0:
            raise edc.Refused(f"{shlex.join(done.args)}: {done.returncode} {done.stderr.strip()}")
        return json.loads(done.stdout)

    def catalog(self, peer):
        """The peer's datasets by their ids, in the shape of the protocol."""
        catalog = self.ask_node("catalog", "list", "--peer", peer.participant)["catalog"]
        return {dataset["@id"]: dataset for dataset in catalog.get("dataset", [])}

    def negotiate(self, peer, dataset):
        """Asks for the dataset as it is offered; returns the id of the negotiation."""
        words = ["catalog", "request", dataset["@id"], "--peer", peer.participant]
        return self.ask_node(*words)["pid"]

    def agreement(self, negotiation):
        """The id, the same on both sides, of the agreement that a negotiation has led to."""
        return self.find("negotiation", pid=negotiation)["agreement"]

    def transfer(self, peer, agreement):
        """Asks for data under an agreement; returns the id of the transfer."""
        return self.ask_node("transfers", "request", agreement)["pid"]

    def state(self, kind, process):
        """The state of a process; the kind is `negotiation` or `transfer`."""
        return self.find(kind, pid=process)["state"]

    def ask(self, verb, transfer):
        """Suspends, resumes or terminates a transfer."""
        words = ["start"] if verb == "resume" else [verb, "--reason", "as the test wants"]
        self.ask_node("transfers", *words, transfer)

    def own(self, kind, theirs):
        """The id of a process here, by the id that the peer has given it."""
        return self.find(kind, peerPid=theirs)["pid"]

    def find(self, kind, **field):
        """The one process of a kind whose field has a value."""
        if kind == "transfer":
            rows = self.ask_node("transfers", "list")
        else:
            rows = self.ask_node("agreements", "list")["negotiations"]
        return edc.one([row for row in rows if field.items() <= row.items()])
