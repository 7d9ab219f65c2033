"""An Eclipse EDC connector on loopback, and what its management interface is asked for.

State is in memory and identity is `iam-mock`: the header `Authorization` of every message of the
protocol is a JSON object, in clear, whose `clientId` names the sender. Nothing here knows Karvan.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tck"))
import service

EDC = "https://w3id.org/edc/v0.0.1/ns/"
CONTEXT = {"@vocab": EDC}
ODRL = "http://www.w3.org/ns/odrl.jsonld"
PROTOCOL = "dataspace-protocol-http:2025-1"
FORMAT = "HttpData-PULL"
MAIN = "org.eclipse.edc.boot.system.runtime.BaseRuntime"
# The word in the header of the management interface; it listens on loopback only.
KEY = "loopback"
PATHS = {"negotiation": "contractnegotiations", "transfer": "transferprocesses"}
CONTEXTS = ["default", "management", "protocol", "control", "signaling", "version"]
# How often the connector looks for work; its default of a second makes a minute of a test.
ROUND_MS = 50
ANSWER_SECONDS = 20
STATE_SECONDS = 60
POLL_SECONDS = 0.1


class Refused(Exception):
    """An HTTP answer that is no success."""


class Unexpected(Exception):
    """What should have come to pass has not."""


def call(method, url, body=None, headers=None):
    """Sends JSON and returns the JSON of the answer, None for an empty one."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise Refused(f"{method} {url}: {error.code} {text}") from error
    return json.loads(text) if text else None


def until(what, expected, probe, wrong=()):
    """Asks until the answer is the expected one; one of `wrong` will not turn into it."""
    end = time.monotonic() + STATE_SECONDS
    while (found := probe()) != expected:
        if found in wrong or time.monotonic() > end:
            raise Unexpected(f"{what} is {found}, expected {expected}")
        time.sleep(POLL_SECONDS)


def one(value):
    """The member of a list of one; JSON-LD writes it without the list."""
    if isinstance(value, list):
        if len(value) != 1:
            raise Unexpected(f"expected one, found {json.dumps(value)}")
        return value[0]
    return value


class Edc:
    """A connector that runs while the `with` block does."""

    def __init__(self, participant, jars, out, address=None):
        """`address` is where peers find the connector when they are to take a detour."""
        self.participant = participant
        self.ports = dict(zip(CONTEXTS, service.free_ports(len(CONTEXTS))))
        self.protocol = f"http://127.0.0.1:{self.ports['protocol']}/protocol"
        # The connector appends the version by itself to the address that it tells peers.
        callback = address or self.protocol
        self.address = f"{callback}/2025-1"
        settings = os.path.join(out, f"{participant}.properties")
        with open(settings, "w", encoding="ascii") as file:
            for key, value in self.settings(callback).items():
                file.write(f"{key}={value}\n")
        command = service.java(jars, f"-Dedc.fs.config={settings}", MAIN)
        ready = f"http://127.0.0.1:{self.ports['default']}/default/check/startup"
        log = os.path.join(out, f"{participant}.log")
        self.service = service.Service(participant, command, ready, log)

    def settings(self, callback):
        values = {
            "edc.participant.id": self.participant,
            "edc.component.id": self.participant,
            "edc.hostname": "127.0.0.1",
            "edc.dsp.callback.address": callback,
            # Without this only policies are taken that an extension of the connector understands.
            "edc.policy.validation.enabled": "false",
            "web.http.management.auth.type": "tokenbased",
            "web.http.management.auth.key": KEY,
        }
        for name, port in self.ports.items():
            prefix = "web.http" if name == "default" else f"web.http.{name}"
            values[f"{prefix}.port"] = port
            values[f"{prefix}.path"] = f"/{name}"
        for machine in ["negotiation.consumer", "negotiation.provider", "transfer"]:
            values[f"edc.{machine}.state-machine.iteration-wait-millis"] = ROUND_MS
        return values

    def __enter__(self):
        self.service.__enter__()
        return self

    def __exit__(self, *error):
        self.service.__exit__(*error)

    def manage(self, method, path, body=None):
        """Calls the management interface."""
        url = f"http://127.0.0.1:{self.ports['management']}/management/v3/{path}"
        body = None if body is None else {"@context": CONTEXT, **body}
        return call(method, url, body, {"X-Api-Key": KEY})

    def attach_data_plane(self, url):
        """Names the data plane; without one nothing is offered and no transfer begins."""
        plane = {
            "@context": CONTEXT,
            "@id": f"{self.participant}-plane",
            "@type": "DataPlaneInstance",
            "url": url,
            "allowedSourceTypes": ["HttpData"],
            "allowedDestTypes": ["HttpData"],
            "allowedTransferTypes": [FORMAT],
        }
        control = f"http://127.0.0.1:{self.ports['control']}/control/v1/dataplanes"
        call("POST", control, plane)

        def state():
            planes = call("GET", control)
            return planes[0].get("state")

        until("the data plane", "AVAILABLE", state)

    def offer(self, asset, permission):
        """Makes an asset that is offered to everybody under one permission."""
        address = {"type": "HttpData", "baseUrl": "http://127.0.0.1/unused"}
        self.manage("POST", "assets", {"@id": asset, "properties": {}, "dataAddress": address})
        policy = {"@context": ODRL, "@type": "Set", "permission": [permission]}
        self.manage("POST", "policydefinitions", {"@id": f"{asset}-policy", "policy": policy})
        selector = {"operandLeft": f"{EDC}id", "operator": "=", "operandRight": asset}
        definition = {
            "@id": f"{asset}-definition",
            "accessPolicyId": f"{asset}-policy",
            "contractPolicyId": f"{asset}-policy",
            "assetsSelector": [{"@type": "Criterion", **selector}],
        }
        self.manage("POST", "contractdefinitions", definition)

    def counterparty(self, peer):
        return {
            "counterPartyAddress": peer.address,
            "counterPartyId": peer.participant,
            "protocol": PROTOCOL,
        }

    def catalog(self, peer):
        """Asks a provider for its catalog; returns the datasets by their ids."""
        catalog = self.manage("POST", "catalog/request", self.counterparty(peer))
        return {dataset["@id"]: dataset for dataset in catalog.get("dataset", [])}

    def negotiate(self, peer, dataset):
        """Asks for the dataset as it is offered; returns the id of the negotiation."""
        policy = {
            "@context": ODRL,
            **one(dataset["hasPolicy"]),
            "assigner": peer.participant,
            "target": dataset["@id"],
        }
        request = {**self.counterparty(peer), "policy": policy}
        return self.manage("POST", "contractnegotiations", request)["@id"]

    def agreement(self, negotiation):
        """The id, the same on both sides, of the agreement that a negotiation has led to."""
        return self.manage("GET", f"contractnegotiations/{negotiation}/agreement")["agreementId"]

    def transfer(self, peer, agreement):
        """Asks for data under an agreement; returns the id of the transfer."""
        own = self.find("contractagreements", agreementId=agreement)
        request = {**self.counterparty(peer), "contractId": own, "transferType": FORMAT}
        return self.manage("POST", "transferprocesses", request)["@id"]

    def state(self, kind, process):
        """The state of a process; the kind is `negotiation` or `transfer`."""
        state = self.manage("GET", f"{PATHS[kind]}/{process}/state")["state"]
        # The connector cleans up after an end, and then no longer says which end it was; its
        # management interface knows no other end than this one.
        return "TERMINATED" if state.startswith("DEPROVISION") else state

    def ask(self, verb, transfer):
        """Suspends, resumes or terminates a transfer."""
        reason = {} if verb == "resume" else {"reason": "as the test wants"}
        self.manage("POST", f"{PATHS['transfer']}/{transfer}/{verb}", reason)

    def own(self, kind, theirs):
        """The id of a process here, by the id that the peer has given it."""
        return self.find(PATHS[kind], correlationId=theirs)

    def find(self, path, **field):
        """The id of the one thing of a kind whose field has a value."""
        filters = [
            {"@type": "Criterion", "operandLeft": key, "operator": "=", "operandRight": value}
            for key, value in field.items()
        ]
        query = {"@type": "QuerySpec", "filterExpression": filters}
        return one(self.manage("POST", f"{path}/request", query))["@id"]
