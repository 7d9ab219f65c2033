"""The walk through the interface works as its page says: every command of it is run, in order."""

import os
import pathlib
import re
import subprocess

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs/use/customs-api-walk.md"
# What the answers in each part of the page must hold. A refusal is wanted where one is named, and
# nowhere else.
REFUSAL = "urn:karvan:problem:"
WANTED = {
    "Where, and who you are": (),
    "File a claim": ('"light":"amber"', '"rule":"under-invoicing"', '"verdict":"grant"'),
    "See the differences": ('"code":"ur"', '"state":"open"', '"balance":"20000"'),
    "Decide": ('"decision":"granted"', '"results":['),
    "Read the inbox, acknowledge": ('"through":', "KAPE-HC-90001-05-10-2026"),
    "Amend and withdraw": (
        '"changes":1', '"version":2', '"withdrawn":{', REFUSAL + "customs.claim-decided",
    ),
    "What your system writes already": (
        '"claim":"KAPE-HC-90003-05-10-2026"', "+KARVAN+PARTNER+7'", "UCM+1+CUSDEC:D:96B:UN+7'",
    ),
    "When it goes wrong": (
        REFUSAL + "customs.invalid-document", '"rule":"UNIT"',
        REFUSAL + "customs.bad-input", '"pointer":"/day"',
    ),
}
# Seconds for all of it.
SECONDS_MAX = 120
MARK = "== part "


def parts():
    """Returns the commands of each part of the page, without the one that starts the sandbox."""
    found = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, text = part.split("\n", 1)
        lines = re.findall(r"^(?:    (.*)|)$", text, flags=re.MULTILINE)
        found[heading] = "\n".join(lines)
    return found


def judge(karvan, pilot, out):
    """Runs the page in a folder of its own, as somebody would who pastes it."""
    commands = parts()
    if list(commands) != list(WANTED):
        raise SystemExit(f"{PAGE.name} has other parts than are checked: {list(commands)}")
    folder = out / "walk"
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    for link, target in (("bin/karvan", karvan), ("karvan-data", pilot)):
        (folder / link).unlink(missing_ok=True)
        (folder / link).symlink_to(target)
    script = "".join(
        f"printf '\\n{MARK}%s\\n' '{name}'\n{text}\n" for name, text in commands.items()
    )
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script], cwd=folder, capture_output=True,
        timeout=SECONDS_MAX, check=False,
        env=dict(os.environ, PATH=f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"),
    )
    answers = done.stdout.decode()
    if done.returncode:
        raise SystemExit(f"{PAGE.name}: {done.stderr.decode()}\n{answers[-2000:]}")
    for part in answers.split(MARK)[1:]:
        heading, text = part.split("\n", 1)
        wanted = WANTED[heading]
        for words in wanted:
            if words not in text:
                raise SystemExit(f"{PAGE.name}, {heading}: no {words} in {text[:2000]}")
        refusals = sum(words.startswith(REFUSAL) for words in wanted)
        if text.count(REFUSAL) != refusals:
            raise SystemExit(f"{PAGE.name}, {heading}: other refusals than said: {text[:2000]}")
    print(f"{PAGE.name}: every command of {len(commands)} parts works as it says", flush=True)
