"""What schemathesis leaves out: requests of which the document can't say whether this server takes them.

Each is true of the models that are loaded or of a clock, not of the shape of a request, so that the answer to one says nothing of the
document. Requests that break the document are all sent.
"""

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

TIMEOUT = "x-request-timeout-ms"
# A caller that allows less may be told 504, and rightly.
ENOUGH_MS = 20_000


def allows_enough(headers):
    """Whether the header that says how long a request may take allows an answer, or can't be read."""
    value = {name.lower(): value for name, value in (headers or {}).items()}.get(TIMEOUT)
    try:
        return value is None or int(value) >= ENOUGH_MS
    except ValueError:
        return True


def items(value):
    return value if isinstance(value, list) else []


def has_pairs(body):
    """Whether it holds pairs: the shipped models take single texts."""
    if body.get("textPairs"):
        return True
    inputs = items(body.get("inputs"))
    if len(inputs) == 2 and all(isinstance(text, str) for text in inputs) and "model" not in body:
        return True
    if any(isinstance(pair, list) and len(pair) == 2 for pair in inputs):
        return True
    return any(isinstance(one, dict) and one.get("text_pair") is not None for one in items(body.get("instances")))


@schemathesis.hook
def filter_case(context, case):
    if not allows_enough(case.headers):
        return False
    # Whoever likes may send a header that nobody knows.
    if any(name.lower().startswith("x-schemathesis") for name in case.headers or {}):
        return False
    body = case.body
    part = case.meta and case.meta.components.get(ParameterLocation.BODY)
    if part and part.mode is GenerationMode.POSITIVE and isinstance(body, dict):
        return not has_pairs(body)
    return True

