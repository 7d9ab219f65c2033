"""Two small servers that stand beside a connector: its data plane, and a recorder of messages."""

import http.server
import json
import threading
import urllib.error
import urllib.request

EDC = "https://w3id.org/edc/v0.0.1/ns/"
ANSWER_SECONDS = 20
# Headers that belong to one connection.
HOP = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}


class Handler(http.server.BaseHTTPRequestHandler):
    """What both have in common."""

    protocol_version = "HTTP/1.1"

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body, content_type="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def log_message(self, *_):
        pass


class Server:
    """A server on a free port of loopback while the `with` block runs."""

    def __init__(self, handler):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class DataPlane(Server):
    """Says yes to everything that a control plane asks, and moves no data.

    `calls` lists what was asked: the last word of the path, and the process.
    """

    def __init__(self):
        calls = self.calls = []

        class Plane(Handler):
            def serve(self):
                body = self.body()
                asked = self.path.rsplit("/", 1)[1]
                calls.append((asked, json.loads(body) if body else None))
                answer = STARTED if asked == "start" else PREPARED
                self.answer(200, json.dumps(answer).encode())

        super().__init__(Plane)


# Where a consumer would fetch the data, in the words of this connector.
ENDPOINT = {
    "endpoint": "http://127.0.0.1/unused",
    "authType": "bearer",
    "authorization": "token-of-the-test",
}
PREPARED = {
    "@context": {"@vocab": EDC, "dspace": "https://w3id.org/dspace/v0.8/"},
    "@type": "DataFlowResponseMessage",
    "provisioning": False,
}
STARTED = {
    **PREPARED,
    "dataAddress": {
        "@type": "dspace:DataAddress",
        "dspace:endpointType": "https://w3id.org/idsa/v4.1/HTTP",
        "dspace:endpointProperties": [
            {"dspace:name": name, "dspace:value": value} for name, value in ENDPOINT.items()
        ],
    },
}


class Recorder(Server):
    """Passes requests on and keeps them: `/NAME/rest` goes to `targets[NAME]` + `/rest`.

    `records` lists request and answer of each: from whom it came is in its `Authorization`.
    """

    def __init__(self):
        self.targets = {}
        records, targets = [], self.targets
        self.records = records

        class Relay(Handler):
            def serve(self):
                body = self.body()
                _, name, rest = self.path.split("/", 2)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                url = f"{targets[name]}/{rest}"
                data = body if self.command == "POST" else None
                request = urllib.request.Request(url, data, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                        status, text = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    status, text = error.code, error.read()
                record = {
                    "to": name,
                    "method": self.command,
                    "path": f"/{rest}",
                    "headers": headers,
                    "body": json.loads(body) if body else None,
                    "status": status,
                    "answer": json.loads(text) if text else None,
                }
                records.append(record)
                self.answer(status, text)

        super().__init__(Relay)
