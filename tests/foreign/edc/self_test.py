#!/usr/bin/env python3
"""Tests that an exchange is judged by both sides, with two participants made up for it.

    self_test.py

The connector itself is proven by `interop.py alone`. Exit code 0 is success.
"""

import sys
import unittest

import edc
import exchange
import interop
import karvan

AFTER = {"suspend": "SUSPENDED", "resume": "STARTED", "terminate": "TERMINATED"}
STEPS = 14
# Prints what a node would print of its negotiations.
NODE = """
import json, sys
row = {"agreement": "a-1", "pid": "n-1", "peerPid": "n-2", "state": "FINALIZED"}
if sys.argv[1:] == ["agreements", "list", "--json"]:
    print(json.dumps({"negotiations": [row], "agreements": []}))
else:
    sys.exit("no such command")
"""


class Made:
    """A participant that does as it is told, except for one lie."""

    def __init__(self, participant, lie=None):
        self.participant, self.address, self.lie = participant, "nowhere", lie
        self.peer, self.states = None, {}

    def tell(self, pid, state):
        """Both sides learn of a state, but for a liar, which keeps an old one."""
        for side in (self, self.peer):
            if side.lie != state:
                side.states[pid] = state

    def catalog(self, peer):
        permission = {"action": "use"} if self.lie == "catalog" else interop.PERMISSION
        return {interop.DATASET: {"hasPolicy": [{"permission": [permission]}]}}

    def negotiate(self, peer, dataset):
        self.tell("n", "FINALIZED")
        return "n"

    def agreement(self, negotiation):
        return "another" if self.lie == "agreement" else "a"

    def transfer(self, peer, agreement):
        self.tell("t", "STARTED")
        return "t"

    def state(self, kind, process):
        return self.states.get(process)

    def ask(self, verb, transfer):
        self.tell(transfer, AFTER[verb])

    def own(self, kind, theirs):
        return theirs


class Judgement(unittest.TestCase):
    def setUp(self):
        self.wait, edc.STATE_SECONDS = edc.STATE_SECONDS, 0

    def tearDown(self):
        edc.STATE_SECONDS = self.wait

    def run_with(self, consumer_lie, provider_lie):
        consumer, provider = Made("c", consumer_lie), Made("p", provider_lie)
        consumer.peer, provider.peer = provider, consumer
        judged = exchange.Exchange(consumer, provider)
        return judged, judged.run(interop.DATASET, interop.PERMISSION)

    def check_refused(self, consumer_lie, provider_lie, told):
        with self.assertRaises(edc.Unexpected) as caught:
            self.run_with(consumer_lie, provider_lie)
        self.assertIn(told, str(caught.exception))

    def test_two_that_agree_pass(self):
        judged, held = self.run_with(None, None)
        self.assertEqual((held, len(judged.passed)), (STEPS, STEPS))

    def test_a_step_that_one_side_did_not_see_fails(self):
        self.check_refused("catalog", None, "seen")
        for state in ["FINALIZED", "STARTED", "SUSPENDED", "TERMINATED"]:
            self.check_refused(state, None, "c: ")
            self.check_refused(None, state, "p: ")
            self.check_refused(None, state, f"expected {state}")

    def test_an_agreement_has_one_id(self):
        self.check_refused("agreement", None, "two ids")
        self.check_refused(None, "agreement", "two ids")

    def test_shapes_differ_by_names_and_kinds_not_by_values(self):
        same = interop.shape({"a": ["x", "y"], "b": 1}) == interop.shape({"a": ["z"], "b": 2})
        self.assertTrue(same)
        for other in [{"a": ["x"]}, {"a": ["x"], "b": "1"}, {"a": [1], "b": 1}, {"a": "x", "b": 1}]:
            self.assertNotEqual(interop.shape({"a": ["x"], "b": 1}), interop.shape(other))


class Node(unittest.TestCase):
    def setUp(self):
        self.node = karvan.KarvanNode("k", "nowhere", "")
        self.node.command = [sys.executable, "-c", NODE]

    def test_rows_are_found_by_their_fields(self):
        self.assertEqual(self.node.agreement("n-1"), "a-1")
        self.assertEqual(self.node.own("negotiation", "n-2"), "n-1")
        self.assertEqual(self.node.state("negotiation", "n-1"), "FINALIZED")
        with self.assertRaises(edc.Unexpected):
            self.node.agreement("n-3")

    def test_a_command_that_fails_says_why(self):
        with self.assertRaisesRegex(edc.Refused, "transfers suspend .* t-1 .*no such command"):
            self.node.ask("suspend", "t-1")


def main():
    program = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    word = "ok" if result.wasSuccessful() else "FAILED"
    print(f"test result: {word}. {result.testsRun - failed} passed; {failed} failed")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
