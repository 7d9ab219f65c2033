"""XML and EDIFACT for Schemathesis: the examples of the document, whole, cut off, or damaged.

What it makes up by itself is a text; nearly every one would be refused at its first character.
"""

import json
import pathlib
import random

import schemathesis

DOCUMENT = pathlib.Path(__file__).resolve().parents[3] / "docs/reference/customs.openapi.json"
# What each operation takes that takes no JSON.
TAKEN = {
    path: content
    for path, item in json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"].items()
    for content in (item.get("post", {}).get("requestBody", {}).get("content", {}),)
    if content and "application/json" not in content
}


@schemathesis.hook
def map_case(context, case):
    """Puts a variant of the example in the place of a made up text, which alone decides which."""
    content, text = TAKEN.get(context.operation.path), case.body
    is_meant_to_fit = case.meta is not None and case.meta.generation.mode.is_positive
    if not content or not isinstance(text, str) or not is_meant_to_fit:
        return case
    [example] = (described["example"] for described in content.values())
    chance = random.Random(text)
    at = chance.randrange(len(example))
    other = chance.choice([text[:1], "", chr(chance.randrange(256))])
    case.body = chance.choice(
        [text, example, example[:at], example[:at] + other + example[at + 1 :]]
    )
    return case


@schemathesis.serializer(*{media for content in TAKEN.values() for media in content})
def send(_context, value):
    """Sends text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return value if isinstance(value, bytes) else json.dumps(value).encode()
