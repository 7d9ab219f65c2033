"""Counts the statuses of every operation over a whole run; names those that never succeeded."""

import collections
import json
import re
import urllib.parse

BASE = "/api/customs/v1"


class Tally:
    """Statuses by operation of the document, of scripted calls and of Schemathesis' reports."""

    def __init__(self, document):
        self.operations = []
        for path, item in document["paths"].items():
            pattern = re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path)))
            for method, operation in item.items():
                row = (path.count("{"), method.upper(), pattern, operation["operationId"])
                self.operations.append(row)
        # What names a path without parameters is no parameter of another one.
        self.operations.sort(key=lambda row: row[0])
        self.scripted = collections.defaultdict(collections.Counter)
        self.random = collections.defaultdict(collections.Counter)

    def operation(self, method, path):
        """Returns the operation that a request is for, if any."""
        path = urllib.parse.urlsplit(path).path
        found = (
            name
            for _, known, pattern, name in self.operations
            if known == method and pattern.fullmatch(path)
        )
        return next(found, None)

    def note(self, method, path, status):
        """Counts an answer to a scripted call; the path is below that of the interface."""
        self.count(self.scripted, method, path, status)

    def count(self, counts, method, path, status):
        """Counts an answer; what is no operation of the document is not counted."""
        name = self.operation(method, path)
        if name:
            counts[name][status] += 1

    def read(self, report):
        """Counts the answers of a report of Schemathesis (NDJSON); returns how many there are."""
        answers = 0
        with open(report, encoding="utf-8") as lines:
            for line in lines:
                finished = json.loads(line).get("ScenarioFinished")
                if not finished:
                    continue
                for exchanged in finished["recorder"].get("interactions", {}).values():
                    asked, answer = exchanged["request"], exchanged["response"]
                    path = urllib.parse.urlsplit(asked["uri"]).path
                    if answer and path.startswith(BASE):
                        path = path.removeprefix(BASE)
                        self.count(self.random, asked["method"], path, answer["status_code"])
                        answers += 1
        return answers

    def verdict(self):
        """Prints what each operation answered; returns those without one answer of class 2xx."""

        def good(counts):
            return sum(count for status, count in counts.items() if 200 <= status < 300)

        never = []
        for *_, name in sorted(self.operations, key=lambda row: row[-1]):
            scripted, random = self.scripted[name], self.random[name]
            statuses = " ".join(f"{status}:{random[status]}" for status in sorted(random))
            print(f"{name}: {good(scripted)} scripted successes; Schemathesis {statuses or '-'}")
            if not good(scripted) + good(random):
                never.append(name)
        return never
