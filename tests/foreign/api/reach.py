"""Calls that no random data reaches: two nations' systems do a whole trade through the interface.

Every number is made of the run's seed, so that a run is repeated by its seed alone.
"""

import base64
import json
import pathlib
import subprocess
import time

from behaviour import expect

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARIFF = ROOT / "subsystems/customs/data/tariff/azerbaijan.toml"
# The line of the shipped tariff that the quota limits.
RICE = 'rates = [{ codes = ["1006"], rate = "0" }]'
QUOTA = """
[[quotas]]
id = "RICE"
agreement = "AZ-RICE"
quantity = "1000"
unit = "TNE"
from = "2026-01-01"
until = "2026-12-31"
source = "rice-exemption"
status = "assumed"
"""

# The one shipped sample from Pakistan to Azerbaijan, which new consignments are made after.
SAMPLE = "00023"
CERTIFICATE, EXPORT = f"PKAZ-2026-{SAMPLE}", f"PK-EX-2026-{SAMPLE}"
CLAIM = f"AZ-IM-{SAMPLE}-02-10-2026"
# What a national system answers to a declaration: function 01.
RESPONSE = """<Response xmlns="urn:wco:datamodel:WCO:RES-DMS:2"><FunctionCode>01</FunctionCode>
<FunctionalReferenceID>RES-{number}</FunctionalReferenceID>
<Declaration><ID>{number}</ID></Declaration></Response>"""
# A claim that was granted against a red match.
RED_CLAIM = "KAPE-HC-00014-02-10-2026"
WHY = "checked against the papers (fictitious)"
# Seconds within which what one side sends must be at the other.
SECONDS_MAX = 60
# Most characters of an answer that a failure shows.
TOLD_MAX = 600


class Parties:
    """The systems that call, each with its token."""

    def __init__(self, issuer, exporter, importer, second):
        self.issuer, self.exporter, self.importer, self.second = issuer, exporter, importer, second


def post(api, path, body, what, status=201, **fields):
    """Posts what must succeed; returns the answer's body."""
    return expect(api.ask("POST", path, body, **fields), status, what)[2]


def get(api, path, what):
    """Reads what must be there."""
    return expect(api.ask("GET", path), 200, what)[2]


def arrives(api, path, what, condition=lambda body: True):
    """Waits until what the partner sent is here, and is as it should be."""
    end = time.monotonic() + SECONDS_MAX
    while True:
        status, _, body = api.ask("GET", path)
        if status == 200 and condition(body):
            return body
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not in {SECONDS_MAX} s: {status} {str(body)[:TOLD_MAX]}")
        time.sleep(0.1)


def consignment(parties, number):
    """Returns certificate, declarations and claim of a new consignment, after the sample."""
    found = (
        get(parties.issuer, f"/certificates/{CERTIFICATE}", "the sample certificate"),
        get(parties.exporter, f"/export-declarations/{EXPORT}", "the sample declaration"),
        get(parties.importer, f"/claims/{CLAIM}", "the sample claim"),
    )
    texts = (json.dumps(view["versions"][0]["content"]) for view in found)
    return [json.loads(text.replace(SAMPLE, number)) for text in texts]


def follows(original, kind, code, **members):
    """Returns the head of an amendment or a cancellation of a message."""
    reference = f"{original['FunctionalReferenceID']}-{code}"
    head = {name: original[name] for name in ("ID", "agreementID", "sharingLevel")}
    head |= {"IssueDateTime": original["IssueDateTime"], "FunctionalReferenceID": reference}
    document = {"documentType": kind, "ID": original["ID"]}
    return head | {"StatementDescription": WHY, "document": document} | members


def amendment(original, kind, path, value, pointer=None):
    """Returns an amendment of the first version of a message."""
    change = {"ChangeReasonCode": "25"} | ({"Pointer": pointer} if pointer else {})
    made = follows(
        original, kind, "A", FunctionCode="4", TypeCode="COR", VersionID=2,
        Amendment=[change], values=[{"path": path, "value": value}],
    )
    made["document"]["VersionID"] = 1
    return made


def cancellation(original, kind):
    """Returns a cancellation of a message."""
    return follows(
        original, kind, "C", FunctionCode="1", TypeCode=original["TypeCode"], VersionID=1,
        ChangeReasonCode="1",
    )


def transport(declaration, number):
    """Returns a report that the goods of a declaration departed."""
    at = "2026-10-05T07:40:00+05:00"
    return {
        "BorderTransportMeans": {"ID": "90-XX-001", "ModeCode": "3"}, "FunctionCode": "9",
        "FunctionalReferenceID": f"PK-TRN-{number}", "ID": f"PK-TRN-{number}",
        "IssueDateTime": at, "TypeCode": "44", "VersionID": 1,
        "agreementID": declaration["agreementID"], "sharingLevel": "L1",
        "event": "departed", "eventDateTime": at,
        "exports": [{"ID": declaration["ID"], "documentType": "EXD"}],
        "route": [{"DepartureDateTime": at, "Location": {"ID": "PKKHI"}, "SequenceNumeric": 1},
                  {"Location": {"ID": "AZBAK"}, "SequenceNumeric": 2}],
    }


def papers(parties, number):
    """The exporting side: certificate and declaration, amended; both of another one cancelled."""
    certificate, declaration, claim = consignment(parties, number)
    post(parties.issuer, "/certificates", certificate, "issuing a certificate")
    post(parties.exporter, "/export-declarations", declaration, "submitting a declaration")
    change = amendment(certificate, "COO", "issuePlace", "Lahore")
    post(parties.issuer, "/certificates/amendments", change, "amending a certificate")
    terms = [{"SequenceNumeric": 1, "DocumentSectionCode": "42A"}, {"DocumentSectionCode": "67A"},
             {"DocumentSectionCode": "22B", "TagID": "090"}]
    change = amendment(declaration, "EXD", "GoodsShipment/TradeTerms/ConditionCode", "FOB", terms)
    post(parties.exporter, "/export-declarations/amendments", change, "amending a declaration")
    report = transport(declaration, number)
    post(parties.exporter, "/transport-reports", report, "reporting a departure")

    other = f"{int(number) + 1:05}"
    unused, undone, _ = consignment(parties, other)
    post(parties.issuer, "/certificates", unused, "issuing another certificate")
    post(parties.exporter, "/export-declarations", undone, "submitting another declaration")
    body = cancellation(undone, "EXD")
    post(parties.exporter, "/export-declarations/cancellations", body, "cancelling a declaration")
    body = cancellation(unused, "COO")
    post(parties.issuer, "/certificates/cancellations", body, "cancelling a certificate")
    return certificate, declaration, claim


def decided(parties, certificate, claim):
    """The importing side: a claim, a question to the issuer, its answer, a decision, the end."""
    number, name = certificate["ID"], claim["ID"]
    arrives(
        parties.importer, f"/certificates/{number}", "the amended certificate",
        lambda body: body["certificate"]["version"] == 2,
    )
    filed = post(parties.importer, "/claims", claim, "filing a claim")
    if [item["item"] for item in filed["items"]] != [1]:
        raise SystemExit(f"the claim has other items: {filed['items']}")
    item = f"/claims/{name}/items/1"
    asked = {"reasons": ["other"], "text": WHY, "questions": ["Was the rice milled here?"]}
    case = post(parties.importer, f"{item}/verifications", asked, "opening a verification")["id"]
    path = f"/verifications/{case}"
    arrives(parties.issuer, path, "the question at the issuer's")
    answer = {"outcome": "confirmed", "text": WHY, "answers": [{"number": 1, "text": "yes"}]}
    post(parties.issuer, f"{path}/answers", answer, "answering a verification")
    arrives(
        parties.importer, path, "the answer at the importing side",
        lambda body: body["state"] == "confirmed",
    )
    decision = {"decision": "grant", "reason": "origin-confirmed", "text": WHY}
    post(parties.importer, f"{item}/decision", decision, "granting what was confirmed")
    post(parties.importer, f"{path}/conclusion", {"text": WHY}, "closing a verification", 200)
    post(parties.importer, f"{path}/reopening", {"text": WHY}, "asking again", 200)
    arrives(
        parties.issuer, f"/certificates/{number}/ledger", "the debit at the exporting side",
        lambda body: body["certificate"]["items"][0]["balance"] == "0",
    )


def overridden(parties):
    """A grant against a red match: proposed by one officer, confirmed by another."""
    item = f"/claims/{RED_CLAIM}/items/1"
    customs, second = parties.exporter, parties.second
    post(customs, f"{item}/reopening", {"text": WHY}, "reopening")
    proposal = {"decision": "grant", "reason": "cleared-up", "text": WHY, "propose": True}
    post(customs, f"{item}/decision", proposal, "proposing a grant")
    own = customs.ask("POST", f"{item}/confirmation", {"answer": "confirm"})
    expect(own, 403, "confirming one's own proposal")
    post(second, f"{item}/confirmation", {"answer": "confirm"}, "confirming a proposal")


def changed(parties, claim):
    """A claim is amended by pointer, withdrawn, and then stands still."""
    importer = parties.importer
    post(importer, "/claims", claim, "filing another claim")
    pointer = [{"DocumentSectionCode": "42A", "TagID": "065"}]
    change = amendment(claim, "IMP", "DeclarationOfficeID", "AZ00800", pointer)
    made = post(importer, "/claims/amendments", change, "amending a claim", Idempotency_Key="w-1")
    if made["version"] != 2 or made["amended"]["changes"] != 1:
        raise SystemExit(f"the amendment made something else: {str(made)[:TOLD_MAX]}")
    again = importer.ask("POST", "/claims/amendments", change, Idempotency_Key="w-1")
    if expect(again, 201, "the stored answer")[1]["Idempotent-Replayed"] != "true":
        raise SystemExit("an amendment under one key was made twice")
    path = f"/claims/{claim['ID']}/days"
    post(importer, path, {"event": "arrived", "day": "2026-10-03"}, "reporting the arrival")
    late = importer.ask("POST", path, {"event": "paid", "day": "2999-01-01"})
    expect(late, 422, "a day that is still to come")
    body = cancellation(claim, "IMP")
    gone = post(importer, "/claims/cancellations", body, "withdrawing a claim")
    if not gone["withdrawn"] or gone["items"]:
        raise SystemExit(f"the claim is not withdrawn: {str(gone)[:TOLD_MAX]}")
    expect(importer.ask("POST", "/claims", claim), 201, "the same claim again, changing nothing")
    change["FunctionalReferenceID"] += "-2"
    change["VersionID"] = 3
    refused = importer.ask("POST", "/claims/amendments", change)
    expect(refused, 409, "amending what was withdrawn")


def handed_in(parties, declaration, karvan, folder):
    """A declaration in XML and one in EDIFACT, as national systems write them."""
    exporter = parties.exporter

    def written(number, form):
        message = json.loads(json.dumps(declaration).replace(declaration["ID"], number))
        message["FunctionalReferenceID"] = f"R-{number}"
        message["GoodsShipment"]["UCR"]["ID"] = f"6{number}"
        plain = folder / f"{number}.json"
        plain.write_text(json.dumps(message), encoding="utf-8")
        command = [karvan, "customs", "convert", str(plain), "--to", form]
        done = subprocess.run(command, check=False, capture_output=True)
        if done.returncode:
            raise SystemExit(f"{number} cannot be written as {form}: {done.stderr.decode()}")
        return done.stdout

    number = declaration["ID"].replace("EX", "XM")
    xml = written(number, "wco")
    for duplicate in (False, True):
        taken = post(
            exporter, "/xml-messages", xml, "handing in XML", Content_Type="application/xml"
        )
        if (taken["id"], taken["duplicate"]) != (number, duplicate):
            raise SystemExit(f"XML was taken as something else: {taken}")
    arrives(parties.importer, f"/export-declarations/{number}", "the declaration from XML")
    wrong = exporter.ask("POST", "/xml-messages", xml, Content_Type="application/json")
    expect(wrong, 415, "XML under another name")
    wrong = exporter.ask("POST", "/xml-messages", xml[:-20], Content_Type="application/xml")
    expect(wrong, 422, "XML that ends too early")
    response = RESPONSE.format(number=number).encode()
    taken = post(
        exporter, "/xml-messages", response, "handing in a response",
        Content_Type="application/xml",
    )
    if (taken["document"], taken["meaning"]) != ("RES", "accepted"):
        raise SystemExit(f"a response was taken as something else: {taken}")
    kept = get(exporter, f"/export-declarations/{number}", "the answered declaration")
    if [each["reference"] for each in kept["responses"]] != [f"RES-{number}"]:
        raise SystemExit(f"the response is not kept: {kept['responses']}")

    interchange = written(declaration["ID"].replace("EX", "ED"), "edifact")
    for code in ("7", "4"):
        taken = post(
            exporter, "/edifact-interchanges", interchange, "handing in EDIFACT", 200,
            Content_Type="application/edifact",
        )
        control = base64.b64decode(taken["control"]).decode()
        if f"+{code}" not in control.split("UCI+")[1].split("'")[0]:
            raise SystemExit(f"answered with another code than {code}: {control}")
        if bool(taken["messages"]) == taken["duplicate"]:
            raise SystemExit(f"an interchange was taken twice, or never: {taken}")


def outage(parties):
    """An outage is declared, seen, and ended once."""
    customs = parties.exporter
    body = {"from": "2026-10-04T18:00:00Z", "text": WHY}
    number = post(customs, "/outages", body, "declaring an outage")["number"]
    listed = get(customs, "/waits", "what is waited for")["outages"]
    if not any(row["number"] == number and not row.get("until") for row in listed):
        raise SystemExit(f"the outage is not listed: {listed}")
    post(customs, f"/outages/{number}/end", {"text": WHY}, "ending an outage", 200)
    again = customs.ask("POST", f"/outages/{number}/end", {"text": WHY})
    expect(again, 404, "ending it again")


def tasks(parties):
    """A task is closed once."""
    found = get(parties.exporter, "/tasks?limit=1", "the tasks")["rows"][0]["number"]
    path = f"/tasks/{found}/resolution"
    post(parties.exporter, path, {"text": WHY}, "closing a task", 200)
    expect(parties.exporter.ask("POST", path, {"text": WHY}), 409, "closing it again")


def quota(parties, karvan, folder):
    """A tariff with a quota of rice, which no shipped one has, in force at the importing side."""
    text = TARIFF.read_text(encoding="utf-8")
    limited = text.replace(RICE, RICE.replace(" }", ', quota = "RICE" }'))
    limited = limited.replace('version = "shipped-', 'version = "limited-')
    if limited.count('"RICE"') != 1 or "limited-" not in limited:
        raise SystemExit("the shipped tariff of Azerbaijan is no longer as this script knows it")
    file = folder / "limited.toml"
    file.write_text(limited + QUOTA, encoding="utf-8")
    command = [karvan, "customs", "tariff", "import", str(file), "--dir", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    get(parties.importer, "/quotas/RICE?day=2026-10-05", "the quota")


def judge(parties, number, karvan, folder):
    """Does all of it; the folder is that of the importing side's node."""
    quota(parties, karvan, folder)
    certificate, declaration, claim = papers(parties, number)
    decided(parties, certificate, claim)
    overridden(parties)
    changed(parties, consignment(parties, f"{int(number) + 2:05}")[2])
    handed_in(parties, declaration, karvan, folder)
    outage(parties)
    tasks(parties)
    asked = get(parties.importer, "/quotas/RICE?day=2026-10-05", "the quota")["requests"]
    if not any(claim["ID"] in request["claimItem"] for request in asked):
        raise SystemExit(f"the claim has no part of the quota: {asked}")
    ucr = declaration["GoodsShipment"]["UCR"]["ID"]
    get(parties.importer, f"/consignments/{ucr}", "the consignment")
    get(parties.importer, f"/consignments/{ucr}/risk", "its risk")
    print(f"consignment {ucr} from certificate to decision, by the interface alone", flush=True)
