"""Enhanced status codes (RFC 3463) for the replies that have none of their own, as ENHANCEDSTATUSCODES asks for.

RFC 2034 §4: each 2yz, 4yz and 5yz reply begins with one, except the greeting and the replies to HELO and EHLO.
"""

import re

HAS_ONE = re.compile(rb"[245]\d\d[ -][245]\.\d{1,3}\.\d{1,3} ")
CODES = {
    b"221": b"2.0.0",
    b"235": b"2.7.0",
    b"250": b"2.0.0",
    b"252": b"2.5.0",
    b"421": b"4.3.2",
    b"450": b"4.2.0",
    b"451": b"4.3.0",
    b"452": b"4.3.1",
    b"454": b"4.7.0",
    b"500": b"5.5.2",
    b"501": b"5.5.4",
    b"502": b"5.5.1",
    b"503": b"5.5.1",
    b"504": b"5.5.4",
    b"530": b"5.7.0",
    b"535": b"5.7.8",
    b"538": b"5.7.11",
    b"550": b"5.0.0",
    b"552": b"5.3.4",
    b"553": b"5.1.3",
    b"554": b"5.0.0",
    b"555": b"5.5.4",
}
"""Reply code → the enhanced code that says the same."""


def with_code(reply: bytes) -> bytes:
    """Return a reply line, with an enhanced code added if it should have one and has none."""
    enhanced = CODES.get(reply[:3])
    if enhanced is None or HAS_ONE.match(reply):
        return reply
    return reply[:4] + enhanced + b" " + reply[4:]
