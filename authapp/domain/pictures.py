"""Pictures of the kinds that every browser shows, told apart by what is in them."""

import re
from dataclasses import dataclass, field

# What may stand before the element: white space, the declaration, comments, the document type.
_PROLOGUE = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[[^\]]*\]\s*)?>", re.DOTALL)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SVG = re.compile(rb"<svg[\s>]")


@dataclass(frozen=True, slots=True)
class Picture:
    """`kind` is what its file's name ends in."""

    content: bytes = field(repr=False)
    kind: str
    content_type: str

    @classmethod
    def of(cls, content: bytes) -> "Picture | None":
        """None for what is neither SVG, PNG nor WebP."""
        if _is_svg(content):
            return cls(content, "svg", "image/svg+xml")
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return cls(content, "png", "image/png")
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return cls(content, "webp", "image/webp")
        return None


def _is_svg(content: bytes) -> bool:
    position = len(_BYTE_ORDER_MARK) if content.startswith(_BYTE_ORDER_MARK) else 0
    while match := _PROLOGUE.match(content, position):
        position = match.end()
    return _SVG.match(content, position) is not None
