"""Judges the output of the compatibility kit, trusting none of its totals.

Passed means: the run came to its end by itself, and each expected id was reported SUCCESSFUL
exactly once, and nothing else was reported. The kit itself ends with exit code 0 whatever fails,
and a test whose preparation crashes appears nowhere.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from xml.etree import ElementTree

ID = r"[A-Z_]+:\d\d-\d\d"
ENDED = re.compile(rf"\[\S+\] (SUCCESSFUL|FAILED|ABORTED): ({ID})")
PROBLEM = re.compile(rf"\[\S+\] PROBLEM: (?:({ID}): )?(.*)")
COMPLETE = re.compile(r"\[\S+\] Test run complete")


@dataclass
class Verdict:
    """What holds of a run; `faults` are those that belong to no single id."""

    expected: list
    passed: list = field(default_factory=list)
    failed: dict = field(default_factory=dict)
    faults: list = field(default_factory=list)

    @property
    def good(self):
        return len(self.passed) == len(self.expected) and not self.failed and not self.faults

    def text(self):
        """A line for each id and fault, and the totals in the shape of Rust's test runner."""
        lines = [f"passed {name}" for name in self.passed]
        lines += [f"FAILED {name}: {reason}" for name, reason in self.failed.items()]
        lines += [f"FAULT {fault}" for fault in self.faults]
        lines.append(f"{len(self.passed)} of {len(self.expected)} ids were reported SUCCESSFUL")
        result = "ok" if self.good else "FAILED"
        failed = len(self.failed) + len(self.faults)
        lines.append(f"test result: {result}. {len(self.passed)} passed; {failed} failed")
        return "\n".join(lines)

    def junit(self):
        """The same as a JUnit report."""
        failed = {**self.failed, **{f"fault {n}": text for n, text in enumerate(self.faults, 1)}}
        count = {"tests": str(len(self.passed) + len(failed)), "failures": str(len(failed))}
        suite = ElementTree.Element("testsuite", name="dsp-tck", **count)
        for name in self.passed:
            ElementTree.SubElement(suite, "testcase", classname="dsp-tck", name=name)
        for name, reason in failed.items():
            case = ElementTree.SubElement(suite, "testcase", classname="dsp-tck", name=name)
            ElementTree.SubElement(case, "failure", message=reason)
        ElementTree.indent(suite)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def judge(text, exit_code, expected):
    """Judges the output of a run; `exit_code` is None when the run was cut off."""
    verdict = Verdict(expected)
    ended, complete, reasons = Counter(), False, {}
    for line in text.splitlines():
        if found := ENDED.match(line):
            ended[found[2], found[1]] += 1
        elif found := PROBLEM.match(line):
            if found[1]:
                reasons[found[1]] = found[2]
            else:
                verdict.faults.append(found[2])
        complete = complete or COMPLETE.match(line) is not None
    if exit_code is None:
        verdict.faults.append("the kit was cut off at the time limit")
    elif exit_code != 0:
        verdict.faults.append(f"the kit ended with exit code {exit_code}")
    elif not complete:
        verdict.faults.append("the kit ended before the end of its run")
    for name in expected:
        reports = {kind: count for (id_, kind), count in ended.items() if id_ == name}
        if reports == {"SUCCESSFUL": 1} and name not in reasons:
            verdict.passed.append(name)
        else:
            said = ", ".join(f"{count} x {kind}" for kind, count in reports.items())
            verdict.failed[name] = reasons.get(name) or f"reported {said or 'never'}"
    for name in sorted({name for name, _ in ended} - set(expected)):
        verdict.faults.append(f"{name} was reported but is in no table")
    return verdict
