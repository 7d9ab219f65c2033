"""What a schema cannot say: once per key, also after kill -9; preconditions; leases."""

import concurrent.futures
import http.client
import json
import signal
import urllib.error
import urllib.request
import uuid

# Kills while a decision is under way.
KILLS = 6
CLAIM = "KAPE-HC-00001-02-10-2026"
WORDS = "checked once more by the officer"


class Api:
    """The interface of a node that may come and go."""

    def __init__(self, token, tally=None, base=None):
        self.token, self.tally, self.base = token, tally, base

    def ask(self, method, path, body=None, **fields):
        """Returns status, headers and JSON body; a broken connection is an OSError."""
        found = self.request(method, path, body, fields)
        if self.tally:
            self.tally.note(method, path, found[0])
        return found

    def request(self, method, path, body, fields):
        """Sends one request."""
        headers = {"Authorization": f"Bearer {self.token}"}
        headers.update({name.replace("_", "-"): value for name, value in fields.items()})
        data = None
        if isinstance(body, bytes):
            data = body
        elif body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(
            self.base + path, data=data, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, answer.headers, json.loads(text) if text else None
        except urllib.error.HTTPError as refusal:
            text = refusal.read()
            return refusal.code, refusal.headers, json.loads(text) if text else None


def expect(found, status, what):
    """Fails unless the answer has the status."""
    if found[0] != status:
        raise SystemExit(f"{what}: expected {status}, got {found[0]}: {found[2]}")
    return found


def decisions(api):
    """How many decisions the claim has."""
    return len(expect(api.ask("GET", f"/claims/{CLAIM}"), 200, "the claim")[2]["decisions"])


def reopen(api, key):
    """Reopens the item, once per key."""
    path = f"/claims/{CLAIM}/items/1/reopening"
    return api.ask("POST", path, {"text": WORDS}, Idempotency_Key=key)


def decide(api, key, **fields):
    """Denies the item against the proposal, once per key."""
    path = f"/claims/{CLAIM}/items/1/decision"
    body = {"decision": "deny", "reason": "other", "text": WORDS}
    return api.ask("POST", path, body, Idempotency_Key=key, **fields)


def keys(api):
    """Same key, same answer; other content, refused; many at once, one effect."""
    expect(reopen(api, "b-1"), 201, "reopening")
    before = decisions(api)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        all_at_once = [found[0] for found in pool.map(lambda _: decide(api, "b-2"), range(8))]
    if not set(all_at_once) <= {201, 409} or 201 not in all_at_once:
        raise SystemExit(f"eight requests under one key: {all_at_once}")
    again = expect(decide(api, "b-2"), 201, "the stored answer")
    if again[1]["Idempotent-Replayed"] != "true" or decisions(api) != before + 1:
        raise SystemExit("a request under one key had more than one effect")
    expect(reopen(api, "b-2"), 422, "a key used for something else")
    expect(decide(api, "b 3"), 400, "a malformed key")
    expect(decide(api, "b-4"), 409, "a decision that stands already")


def preconditions(api):
    """`If-Match` and `If-None-Match`."""
    stale = expect(api.ask("GET", f"/claims/{CLAIM}"), 200, "the claim")[1]["ETag"]
    path = f"/claims/{CLAIM}"
    expect(api.ask("GET", path, If_None_Match=stale), 304, "what is known already")
    expect(reopen(api, "b-5"), 201, "reopening")
    expect(api.ask("GET", path, If_None_Match=stale), 200, "what has changed")
    expect(decide(api, "b-6", If_Match=stale), 412, "a decision on what has changed")
    found = expect(api.ask("GET", path, Accept_Language="az"), 200, "the claim in Azerbaijani")
    if found[1]["Content-Language"] != "az":
        raise SystemExit("the claim is not said in Azerbaijani")
    expect(decide(api, "b-7", If_Match=found[1]["ETag"]), 201, "a decision on what was seen")


def inbox(api):
    """A batch is leased once, prolonged, acknowledged, and does not come again."""
    first = expect(api.ask("POST", "/inbox/leases?limit=3"), 200, "a lease")[2]
    expect(api.ask("POST", "/inbox/leases"), 409, "a second lease")
    path = f"/inbox/leases/{first['lease']}"
    expect(api.ask("POST", f"{path}/extension"), 200, "an extension")
    through = expect(api.ask("POST", f"{path}/acknowledgement"), 200, "acknowledging")[2]
    expect(api.ask("POST", f"{path}/acknowledgement"), 200, "acknowledging twice")
    expect(api.ask("POST", f"{path}/extension"), 409, "an extension of what is over")
    other = f"/inbox/leases/{uuid.uuid4()}/acknowledgement"
    expect(api.ask("POST", other), 422, "a lease of nobody")
    second = expect(api.ask("POST", "/inbox/leases?limit=3"), 200, "the next lease")[2]
    numbers = [notice["number"] for notice in first["notices"] + second["notices"]]
    if numbers != sorted(set(numbers)) or second["notices"][0]["number"] <= through["through"]:
        raise SystemExit(f"notices are out of order or came twice: {numbers}")
    path = f"/inbox/leases/{second['lease']}/acknowledgement"
    expect(api.ask("POST", path), 200, "acknowledging")


def words(api):
    """Refusals in the caller's language; codes, pointers and the English text stay."""
    path = "/certificates/AZPK-2026-99999"
    english = expect(api.ask("GET", path), 404, "a certificate of nobody")[2]
    for wanted, language in (("az", "az"), ("ur, en;q=0.5", "ur"), ("de", "en"), ("*", "en")):
        _, headers, body = expect(
            api.ask("GET", path, Accept_Language=wanted), 404, f"asked in {wanted}"
        )
        if headers["Content-Language"] != language or body["type"] != english["type"]:
            raise SystemExit(f"{wanted}: {headers['Content-Language']}, {body}")
        if language != "en":
            if body["english"] != english["detail"] or body["detail"] == english["detail"]:
                raise SystemExit(f"{wanted}: the refusal is not said in it: {body}")
        elif body["detail"] != english["detail"] or "english" in body:
            raise SystemExit(f"{wanted}: not in English: {body}")
    path = f"/claims/{CLAIM}/items/1/decision"
    for wrong, pointer, rule in (
        ({"decision": 7}, "/decision", "SHAPE"),
        ({"decision": "maybe"}, "/decision", "SHAPE"),
        ({"decision": "grant", "surprise": 1}, "/surprise", "UNKNOWN"),
        ({}, "/decision", "REQUIRED"),
    ):
        body = expect(api.ask("POST", path, wrong, Accept_Language="az"), 422, f"{wrong}")[2]
        if [(each["pointer"], each["rule"]) for each in body["pointers"]] != [(pointer, rule)]:
            raise SystemExit(f"{wrong}: {body}")


def kills(api, start, stop):
    """kill -9 while decisions are under way: after the restart each key had one effect."""
    for run in range(KILLS):
        expect(reopen(api, f"k-{run}-a"), 201, "reopening")
        before = decisions(api)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            lost = pool.submit(decide, api, f"k-{run}-b")
            # Each run a little later: before, within and after the act.
            try:
                lost.result(timeout=0.001 + run * 0.004)
            except (OSError, http.client.HTTPException, concurrent.futures.TimeoutError):
                pass
            stop(signal.SIGKILL)
            try:
                lost.result()
            except (OSError, http.client.HTTPException):
                pass
        start()
        expect(decide(api, f"k-{run}-b"), 201, "the same request after the restart")
        if decisions(api) != before + 1:
            raise SystemExit(f"run {run}: {decisions(api) - before} decisions instead of one")
    print(f"{KILLS} kills, one effect each", flush=True)
