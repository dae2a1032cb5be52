"""Logos for tests: a PNG of one colour, and SVGs."""

import struct
import zlib

CIRCLE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
    '<circle cx="20" cy="20" r="18" fill="#7a1fa2"/><path d="M12 26 20 12l8 14z" fill="#fff"/></svg>'
)
WORDMARK = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 40">'
    '<text x="4" y="30" font-size="30" font-family="sans-serif" fill="#7a1fa2">Acme Post</text></svg>'
)


def png(width: int = 64, height: int = 64, color: tuple[int, ...] = (122, 31, 162, 255)) -> bytes:
    """Return a PNG of one colour: red, green, blue, and where it has one its alpha channel."""
    rows = b"".join(b"\0" + bytes(color) * width for _ in range(height))
    kind = 6 if len(color) == 4 else 2
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
