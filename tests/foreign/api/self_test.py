#!/usr/bin/env python3
"""The tally finds an operation that never succeeded, whatever else was answered."""

import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tally import BASE, Tally  # noqa: E402

DOCUMENT = {
    "paths": {
        "/claims": {"post": {"operationId": "file"}, "get": {"operationId": "list"}},
        "/claims/amendments": {"post": {"operationId": "amend"}},
        "/claims/{claim}": {"get": {"operationId": "show"}, "post": {"operationId": "touch"}},
    }
}


def check(what, found, expected):
    """Fails unless both are the same."""
    if found != expected:
        raise SystemExit(f"{what}: {found}, not {expected}")


def report(folder, *answers):
    """Writes a report as Schemathesis does; an answer of None is a broken connection."""
    exchanged = {
        str(number): {
            "request": {"method": method, "uri": f"http://127.0.0.1:1{BASE}{path}"},
            "response": status and {"status_code": status},
        }
        for number, (method, path, status) in enumerate(answers)
    }
    file = pathlib.Path(folder) / "report.ndjson"
    lines = [
        {"ScenarioStarted": {}},
        {"ScenarioFinished": {"recorder": {}}},
        {"ScenarioFinished": {"recorder": {"interactions": exchanged}}},
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return file


def main():
    """Runs all cases."""
    counts = Tally(DOCUMENT)
    for method, path, expected in (
        ("POST", "/claims", "file"),
        ("GET", "/claims?limit=1", "list"),
        ("POST", "/claims/amendments", "amend"),
        ("POST", "/claims/KAPE-1", "touch"),
        ("GET", "/claims/a%2Fb", "show"),
        ("GET", "/claims/a/b", None),
        ("PUT", "/claims", None),
    ):
        check(f"{method} {path}", counts.operation(method, path), expected)
    counts.note("POST", "/claims", 201)
    counts.note("GET", "/claims", 304)
    counts.note("POST", "/claims/amendments", 409)
    with tempfile.TemporaryDirectory() as folder:
        file = report(
            folder, ("GET", "/claims/1", 200), ("GET", "/claims", 404), ("POST", "/claims/1", None)
        )
        check("answers in the report", counts.read(file), 2)
    check("without success", counts.verdict(), ["amend", "list", "touch"])


if __name__ == "__main__":
    main()
