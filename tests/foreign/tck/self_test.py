#!/usr/bin/env python3
"""Tests that the judgement of the kit's output can be trusted: above all, that it can fail.

    self_test.py [--jars FOLDER]

With the kit's jars it also runs the kit: against the model node, where all must pass; against the
same node with one lie, where exactly the tests of that must fail; and against a node that answers
everything with an empty object, where all must fail. Exit code 0 is success.
"""

import http.server
import io
import os
import re
import sys
import tempfile
import threading
import unittest
from xml.etree import ElementTree

import model
import run
import service
import verdict

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = [test["id"] for test in run.table()["tests"]]
COUNT = 65
# A test for each kind of message.
SOME = ["MET:01-01", "CAT:01-01", "CN:01-01", "CN_C:01-01", "TP:01-01", "TP_C:01-01"]
# For runs that fail by waiting in vain.
QUICK = ["--wait", "2", "--only"]

with open(os.path.join(HERE, "testdata/passed.log"), encoding="utf-8") as recorded:
    PASSED = recorded.read()


def without(pattern):
    """The recorded run without the lines that hold the pattern."""
    return "".join(
        line for line in PASSED.splitlines(keepends=True) if not re.search(pattern, line)
    )


class Judgement(unittest.TestCase):
    def check(self, text, code, failed, faults):
        judged = verdict.judge(text, code, EXPECTED)
        self.assertEqual(judged.failed, failed)
        self.assertEqual(judged.faults, faults)
        self.assertEqual(len(judged.passed), COUNT - len(failed))
        self.assertEqual(judged.good, not failed and not faults)
        for name in failed:
            self.assertIn(f"FAILED {name}: {failed[name]}\n", judged.text())
        counts = f"{COUNT - len(failed)} passed; {len(failed) + len(faults)} failed"
        self.assertTrue(judged.text().endswith(counts), judged.text())

    def test_a_whole_run_passes(self):
        self.check(PASSED, 0, {}, [])

    def test_a_missing_id_fails(self):
        self.check(without("CN:02-05"), 0, {"CN:02-05": "reported never"}, [])

    def test_an_id_that_began_but_never_ended_fails(self):
        self.check(without("SUCCESSFUL: TP_C:03-04"), 0, {"TP_C:03-04": "reported never"}, [])

    def test_a_failed_id_fails_with_its_reason(self):
        text = PASSED.replace("SUCCESSFUL: TP:01-04", "FAILED: TP:01-04")
        self.check(text, 0, {"TP:01-04": "reported 1 x FAILED"}, [])
        problem = "[2026-11-21T23:58:15.9] PROBLEM: TP:01-04: Verify: AssertionError: Timeout\n"
        self.check(text + problem, 0, {"TP:01-04": "Verify: AssertionError: Timeout"}, [])
        text = PASSED.replace("SUCCESSFUL: MET:01-01", "ABORTED: MET:01-01")
        self.check(text, 0, {"MET:01-01": "reported 1 x ABORTED"}, [])

    def test_an_id_that_passed_and_failed_fails(self):
        line = "[2026-11-21T23:58:15.9] {}: CAT:01-01\n"
        reason = "reported 1 x SUCCESSFUL, 1 x FAILED"
        self.check(PASSED + line.format("FAILED"), 0, {"CAT:01-01": reason}, [])
        reason = "reported 2 x SUCCESSFUL"
        self.check(PASSED + line.format("SUCCESSFUL"), 0, {"CAT:01-01": reason}, [])

    def test_a_total_that_promises_is_not_believed(self):
        text = without("SUCCESSFUL: CN_C:03-02") + "[2026-11-21T23:58:15.9] Passed tests: 65\n"
        self.check(text, 0, {"CN_C:03-02": "reported never"}, [])

    def test_a_class_that_did_not_begin_is_a_fault(self):
        problem = "[2026-11-21T23:58:15.9] PROBLEM: CN_01: Provider: java.net.BindException\n"
        self.check(PASSED + problem, 0, {}, ["CN_01: Provider: java.net.BindException"])

    def test_an_id_that_nobody_expects_is_a_fault(self):
        line = "[2026-11-21T23:58:15.9] SUCCESSFUL: TP:02-04\n"
        self.check(PASSED + line, 0, {}, ["TP:02-04 was reported but is in no table"])

    def test_an_end_before_its_time_is_a_fault(self):
        self.check(PASSED, 1, {}, ["the kit ended with exit code 1"])
        self.check(PASSED, None, {}, ["the kit was cut off at the time limit"])
        cut = without("Test run complete")
        self.check(cut, 0, {}, ["the kit ended before the end of its run"])
        all_missing = dict.fromkeys(EXPECTED, "reported never")
        self.check("", 0, all_missing, ["the kit ended before the end of its run"])

    def test_the_report_tells_the_same(self):
        text = PASSED.replace("SUCCESSFUL: TP:01-04", "FAILED: TP:01-04")
        report = ElementTree.fromstring(verdict.judge(text, None, EXPECTED).junit())
        self.assertEqual((report.get("tests"), report.get("failures")), ("66", "2"))
        failed = [case.get("name") for case in report if case.find("failure") is not None]
        self.assertEqual(failed, ["TP:01-04", "fault 1"])


class Runner(unittest.TestCase):
    def check(self, program, seconds, expected):
        log = io.StringIO()
        self.assertEqual(run.run([sys.executable, "-c", program], seconds, log), expected)
        self.assertEqual(log.getvalue(), expected[0])

    def test_output_and_exit_code_are_kept(self):
        self.check("print('a')", 60, ("a\n", 0))
        self.check("import sys; print('a', file=sys.stderr); sys.exit(3)", 60, ("a\n", 3))

    def test_a_run_that_hangs_is_cut_off(self):
        self.check("import signal; print('a', flush=True); signal.pause()", 1, ("a\n", None))

    def test_values_survive_the_properties_file(self):
        plain = run.escaped('{"clientId": "a"}')
        self.assertEqual(plain, '{"clientId"\\:\\ "a"}')
        self.assertEqual(run.escaped("a\\b=c#d!e\nf"), "a\\\\b\\=c\\#d\\!e\\nf")


class Table(unittest.TestCase):
    """The table that the kit's settings and the node under test are both made from."""

    def test_every_id_is_there_once(self):
        self.assertEqual(len(set(EXPECTED)), COUNT)
        self.assertEqual(len(EXPECTED), COUNT)

    def test_every_process_has_a_key_of_its_own_and_known_words(self):
        keys = []
        words = {
            ("negotiation", "provider"): {"offer", "agree", "finalize", "terminate"},
            ("negotiation", "consumer"): {"accept", "counter", "verify", "terminate"},
            ("transfer", "provider"): {"start", "suspend", "complete", "terminate"},
            ("transfer", "consumer"): {"start", "suspend", "complete", "terminate"},
        }
        for test in run.table()["tests"]:
            if "process" in test:
                keys.append(test.get("dataset") or test["agreement"])
                used = {action["action"] for action in test["actions"]}
                self.assertLessEqual(used, words[test["process"], test["role"]], test["id"])
        self.assertEqual(len(set(keys)), len(keys))


class EmptyAnswers(http.server.BaseHTTPRequestHandler):
    """A node that says 200 and nothing else to everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Kit(unittest.TestCase):
    """Runs the real kit."""

    jars = None

    def setUp(self):
        if not self.jars:
            self.skipTest("no --jars")

    def judge(self, root, *more):
        """Runs the kit against a node whose root is given, and judges it."""
        values = {
            "--jars": self.jars,
            "--base-url": f"{root}/{model.VERSION}",
            "--root-url": root,
            "--negotiation-webhook": "http://127.0.0.1:{webhooks}/negotiations",
            "--transfer-webhook": "http://127.0.0.1:{webhooks}/transfers",
            "--participant-id": "urn:model",
            "--authorization": "Bearer model",
        }
        with tempfile.TemporaryDirectory() as out:
            pairs = [part for pair in values.items() for part in pair]
            return run.judge(run.arguments([*pairs, "--out", out, *more]))

    def judge_model(self, lie, *more):
        """Starts the model node and runs the kit against it."""
        program = f"{sys.executable} -B {HERE}/model.py --id urn:model {lie}"
        command = program + " --port {port} --webhooks {webhooks}"
        return self.judge("http://127.0.0.1:{port}/dsp", "--node", command, *more)

    def test_a_node_that_does_as_the_table_says_passes(self):
        judged = self.judge_model("")
        self.assertTrue(judged.good, judged.text())
        self.assertEqual(judged.passed, EXPECTED)

    def test_a_node_with_one_lie_fails_where_it_lies(self):
        illegal = ["CN:03-01", "CN_C:03-01", "TP:03-01", "TP_C:03-01"]
        ended = ["CN:02-02", "CN_C:02-01", "TP:02-05", "TP_C:01-05"]
        own = ["CN:02-01", "CN_C:02-02", "TP:01-05", "TP_C:02-05"]
        cases = {
            "takes-everything": (illegal, "CN:01-04", "Expected to throw"),
            "says-404": (illegal, "CN:01-04", "Unexpected 404"),
            "forgets-the-last": (ended, "CN:02-01", "TERMINATED"),
            "never-acts": (own, "CN:02-02", "Timeout"),
        }
        self.assertEqual(list(cases), model.LIES)
        for lie, (failing, passing, told) in cases.items():
            with self.subTest(lie):
                judged = self.judge_model(f"--lie {lie}", *QUICK, *failing, passing)
                self.assertEqual((judged.passed, judged.faults), ([passing], []))
                self.assertEqual(list(judged.failed), failing)
                for name in failing:
                    self.assertIn(told, judged.failed[name])

    def test_a_node_that_says_nothing_fails(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyAnswers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        judged = self.judge(f"http://127.0.0.1:{server.server_port}", *QUICK, *SOME)
        server.shutdown()
        self.assertEqual(list(judged.failed), SOME)
        self.assertEqual((judged.passed, judged.faults), ([], []))
        for name, reason in judged.failed.items():
            self.assertNotIn("reported", reason, name)

    def test_a_node_that_does_not_start_is_told(self):
        command = f"{sys.executable} -B {HERE}/model.py --port"
        with self.assertRaisesRegex(service.Broken, "node ended with 2"):
            self.judge("http://127.0.0.1:{port}/dsp", "--node", command)


def main():
    if sys.argv[1:2] == ["--jars"]:
        Kit.jars = sys.argv[2]
    program = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed - len(result.skipped)
    word = "ok" if result.wasSuccessful() else "FAILED"
    print(f"test result: {word}. {passed} passed; {failed} failed; {len(result.skipped)} ignored")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
