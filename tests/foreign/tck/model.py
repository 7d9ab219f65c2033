#!/usr/bin/env python3
"""The smallest node that passes the kit, so that the kit, its runner and `tests.json` are proven.

    model.py --port PORT --webhooks PORT --id PARTICIPANT [--lie LIE]

It plays both roles, reads what it must hold and do from `tests.json`, keeps everything in memory
and believes every caller. `--lie` names one thing that it does wrong, which the kit must find.
The tables are those of the Dataspace Protocol 2025-1, sections 7 and 8.
"""

import argparse
import http.client
import http.server
import json
import signal
import threading
import time
import urllib.error
import urllib.request
import uuid

import run

CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]
VERSION = "2025-1"
FINAL = {"FINALIZED", "TERMINATED", "COMPLETED"}
SEND_SECONDS = 5
RETRY_SECONDS = 0.3

OPEN = ["REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED"]
# What may be received: per message the role that takes it, the states it may come in, and the next.
NEGOTIATION = {
    "ContractRequestMessage": ("provider", ["OFFERED"], "REQUESTED"),
    "ContractOfferMessage": ("consumer", ["REQUESTED"], "OFFERED"),
    "ContractAgreementMessage": ("consumer", ["REQUESTED", "ACCEPTED"], "AGREED"),
    "ContractAgreementVerificationMessage": ("provider", ["AGREED"], "VERIFIED"),
    "ACCEPTED": ("provider", ["OFFERED"], "ACCEPTED"),
    "FINALIZED": ("consumer", ["VERIFIED"], "FINALIZED"),
    "ContractNegotiationTerminationMessage": (None, OPEN, "TERMINATED"),
}
TRANSFER = {
    "TransferStartMessage": (None, ["REQUESTED", "SUSPENDED"], "STARTED"),
    "TransferSuspensionMessage": (None, ["STARTED"], "SUSPENDED"),
    "TransferCompletionMessage": (None, ["STARTED"], "COMPLETED"),
    "TransferTerminationMessage": (None, ["REQUESTED", "STARTED", "SUSPENDED"], "TERMINATED"),
}
# What is sent for an action: the last part of the path, the type, and the state that follows.
ACTIONS = {
    ("negotiation", "offer"): ("offers", "ContractOfferMessage", "OFFERED"),
    ("negotiation", "agree"): ("agreement", "ContractAgreementMessage", "AGREED"),
    ("negotiation", "counter"): ("request", "ContractRequestMessage", "REQUESTED"),
    ("negotiation", "verify"): (
        "agreement/verification",
        "ContractAgreementVerificationMessage",
        "VERIFIED",
    ),
    ("negotiation", "accept"): ("events", "ContractNegotiationEventMessage", "ACCEPTED"),
    ("negotiation", "finalize"): ("events", "ContractNegotiationEventMessage", "FINALIZED"),
    ("negotiation", "terminate"): (
        "termination",
        "ContractNegotiationTerminationMessage",
        "TERMINATED",
    ),
    ("transfer", "start"): ("start", "TransferStartMessage", "STARTED"),
    ("transfer", "suspend"): ("suspension", "TransferSuspensionMessage", "SUSPENDED"),
    ("transfer", "complete"): ("completion", "TransferCompletionMessage", "COMPLETED"),
    ("transfer", "terminate"): ("termination", "TransferTerminationMessage", "TERMINATED"),
}
LIES = ["takes-everything", "says-404", "forgets-the-last", "never-acts"]


class Process:
    """A negotiation or transfer, as one side sees it."""

    def __init__(self, kind, role, key, offer, peer):
        self.kind, self.role, self.key, self.offer, self.peer = kind, role, key, offer, peer
        self.pid, self.peer_pid = str(uuid.uuid4()), None
        self.state, self.visits = None, {}

    def pids(self):
        names = {"consumer": "consumerPid", "provider": "providerPid"}
        mine = names.pop(self.role)
        return {mine: self.pid, names.popitem()[1]: self.peer_pid}

    def document(self):
        kind = {"negotiation": "ContractNegotiation", "transfer": "TransferProcess"}[self.kind]
        return {"@context": CONTEXT, "@type": kind, **self.pids(), "state": self.state}


class Node:
    """The whole node behind its HTTP faces."""

    def __init__(self, participant, address, lie):
        self.participant, self.address, self.lie = participant, address, lie
        self.table = run.table()
        self.lock = threading.RLock()
        self.processes = {}
        rows = [test for test in self.table["tests"] if "process" in test]
        self.rows = {row.get("dataset") or row["agreement"]: row for row in rows}
        self.datasets = {
            test["dataset"]: test.get("offer", f"offer-{test['dataset']}")
            for test in self.table["tests"]
            if "dataset" in test and test.get("role") != "consumer"
        }

    def enter(self, process, state):
        """Puts a process into a state, and later does what the table says of that."""
        with self.lock:
            process.state = state
            visit = process.visits[state] = process.visits.get(state, 0) + 1
        if self.lie == "never-acts":
            return
        for row in self.rows.get(process.key, {}).get("actions", []):
            if (row["state"], row["visit"]) == (state, visit):
                delay = self.table["delay_ms"] / 1000
                threading.Timer(delay, self.act, [process, row["action"], state]).start()

    def act(self, process, action, state):
        path, kind, following = ACTIONS[process.kind, action]
        with self.lock:
            if process.state != state:
                return
            # Before it is sent, because the peer may react before our send returns.
            self.enter(process, following)
        message = {"@type": kind, **process.pids(), **self.content(process, kind, following)}
        self.send(process, f"{process.kind}s/{process.peer_pid}/{path}", message)

    def content(self, process, kind, following):
        rules = {"@id": process.offer, "target": process.key, "assigner": self.participant}
        rules |= {"assignee": self.table["peer"], "permission": [{"action": "use"}]}
        if kind in ("ContractOfferMessage", "ContractRequestMessage"):
            return {"offer": {"@type": "Offer", **rules}}
        if kind == "ContractAgreementMessage":
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            ids = {"@type": "Agreement", "@id": str(uuid.uuid4()), "timestamp": when}
            return {"agreement": {**rules, **ids}}
        if kind == "ContractNegotiationEventMessage":
            return {"eventType": following}
        if kind == "TransferStartMessage" and process.role == "provider":
            point = {"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP"}
            return {"dataAddress": {**point, "endpoint": "http://127.0.0.1/unused"}}
        return {}

    def send(self, process, path, message):
        """Sends until it is taken, refused, out of time, or the process has ended otherwise."""
        message = {"@context": CONTEXT, "@id": f"urn:uuid:{uuid.uuid4()}", **message}
        state, end = process.state, time.monotonic() + SEND_SECONDS
        while time.monotonic() < end and (process.state == state or process.state not in FINAL):
            request = urllib.request.Request(
                f"{process.peer}/{path}",
                json.dumps(message).encode(),
                {"Content-Type": "application/json", "Authorization": "model"},
            )
            try:
                with urllib.request.urlopen(request, timeout=SEND_SECONDS) as answer:
                    text = answer.read()
                return json.loads(text) if text else {}
            except urllib.error.HTTPError as error:
                if error.code != 404 and error.code < 500:
                    return {}
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(RETRY_SECONDS)
        return {}

    def initiate(self, body):
        """A webhook: become the consumer of what the kit names."""
        peer = body["connectorAddress"].rstrip("/")
        if "datasetId" in body:
            kind, key, offer = "negotiation", body["datasetId"], body["offerId"]
        else:
            kind, key, offer = "transfer", body["agreementId"], None
        process = Process(kind, "consumer", key, offer, peer)
        self.processes[process.pid] = process
        message = {"consumerPid": process.pid, "callbackAddress": self.address}
        if kind == "negotiation":
            content = self.content(process, "ContractRequestMessage", None)
            message |= {"@type": "ContractRequestMessage", **content}
        else:
            wanted = {"agreementId": key, "format": body["format"]}
            message |= {"@type": "TransferRequestMessage", **wanted}
        self.enter(process, "REQUESTED")
        answer = self.send(process, f"{kind}s/request", message)
        process.peer_pid = process.peer_pid or answer.get("providerPid")

    def begin(self, kind, body):
        """The first message of a consumer."""
        offer = body.get("offer", {})
        key = offer.get("target") or body.get("agreementId")
        if kind == "negotiation" and self.datasets.get(key) != offer.get("@id"):
            return self.error(kind, 400, body)
        if kind == "transfer" and self.rows.get(key, {}).get("role") != "provider":
            return self.error(kind, 400, body)
        process = Process(kind, "provider", key, offer.get("@id"), body["callbackAddress"])
        process.peer_pid = body["consumerPid"]
        self.processes[process.pid] = process
        self.enter(process, "REQUESTED")
        return 201, process.document()

    def receive(self, process, body):
        """Any later message."""
        table = {"negotiation": NEGOTIATION, "transfer": TRANSFER}[process.kind]
        role, states, following = table.get(body.get("eventType") or body["@type"])
        with self.lock:
            taken = role in (None, process.role) and process.state in states
            if not taken and self.lie != "takes-everything":
                return self.error(process.kind, 404 if self.lie == "says-404" else 400, body)
            peer_pid = body["consumerPid" if process.role == "provider" else "providerPid"]
            process.peer_pid = process.peer_pid or peer_pid
            if not (self.lie == "forgets-the-last" and following in FINAL):
                self.enter(process, following)
        return 200, process.document()

    def error(self, kind, code, body):
        types = {"negotiation": "ContractNegotiationError", "transfer": "TransferError"}
        names = ("consumerPid", "providerPid")
        pids = {name: body.get(name) or f"urn:uuid:{uuid.UUID(int=0)}" for name in names}
        reason = {"code": str(code), "reason": ["not allowed here"]}
        return code, {"@context": CONTEXT, "@type": types[kind], **pids, **reason}

    def catalog(self, dataset=None):
        """The catalog, or one dataset of it."""
        service = {"@id": "dsp", "@type": "DataService", "endpointURL": self.address}
        service_of = {"@type": "Distribution", "accessService": "dsp"}
        datasets = [
            {
                "@id": name,
                "@type": "Dataset",
                "hasPolicy": [{"@id": offer, "@type": "Offer", "permission": [{"action": "use"}]}],
                "distribution": [{**service_of, "format": self.table["format"]}],
            }
            for name, offer in self.datasets.items()
            if dataset in (None, name)
        ]
        if dataset is None:
            head = {"@id": "catalog", "@type": "Catalog", "participantId": self.participant}
            return 200, {"@context": CONTEXT, **head, "service": [service], "dataset": datasets}
        if not datasets:
            reason = {"code": "404", "reason": ["no such dataset"]}
            return 404, {"@context": CONTEXT, "@type": "CatalogError", **reason}
        return 200, {"@context": CONTEXT, **datasets[0]}

    def answer(self, method, path, body):
        """Status and body for a request below the address with the version."""
        match [method, *path.strip("/").split("/")]:
            case ["POST", "catalog", "request"]:
                return self.catalog()
            case ["GET", "catalog", "datasets", name]:
                return self.catalog(name)
            case ["POST", ("negotiations" | "transfers") as kind, "request"]:
                return self.begin(kind[:-1], body)
            case [_, ("negotiations" | "transfers") as kind, pid, *rest]:
                process = self.processes.get(pid)
                if process is None or process.kind != kind[:-1]:
                    return self.error(kind[:-1], 404, body or {})
                if method == "GET" and not rest:
                    return 200, process.document()
                return self.receive(process, body)
        return 404, {}


def serve(port, answer):
    """Serves JSON on a port of loopback, in the background."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = answer(self.command, self.path, json.loads(text) if text else None)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--webhooks", type=int, required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--lie", choices=LIES)
    options = parser.parse_args()
    base = f"/dsp/{VERSION}"
    node = Node(options.id, f"http://127.0.0.1:{options.port}{base}", options.lie)
    entry = {"version": VERSION, "path": f"/{VERSION}", "binding": "HTTPS"}

    def protocol(method, path, body):
        if path == "/dsp" + run.VERSION_PATH:
            return 200, {"protocolVersions": [entry]}
        return node.answer(method, path.removeprefix(base), body)

    def webhook(method, path, body):
        threading.Thread(target=node.initiate, args=[body]).start()
        return 200, {}

    serve(options.webhooks, webhook)
    serve(options.port, protocol)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
