"""Pictures of the kinds that every browser shows, told apart by what is in them."""

import re
from dataclasses import dataclass, field

# A byte order mark, the declaration, comments and the document type may stand before the element.
_SVG = re.compile(
    rb"\A(?:\xef\xbb\xbf)?(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>)*<svg[\s>]", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Picture:
    """`kind` is what its file's name ends in."""

    content: bytes = field(repr=False)
    kind: str
    content_type: str

    @classmethod
    def of(cls, content: bytes) -> "Picture | None":
        """None for what is neither SVG, PNG nor WebP."""
        if _SVG.match(content):
            return cls(content, "svg", "image/svg+xml")
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return cls(content, "png", "image/png")
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return cls(content, "webp", "image/webp")
        return None
