import pytest

from authapp.domain.pictures import Picture


@pytest.mark.parametrize(
    ("content", "kind", "content_type"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg", "image/svg+xml"),
        (b"\xef\xbb\xbf<svg>", "svg", "image/svg+xml"),
        (
            b'<?xml version="1.0"?>\n<!-- a > b -->\n<!DOCTYPE svg PUBLIC "x" "y">\n\n<svg\n>',
            "svg",
            "image/svg+xml",
        ),
        (b"\x89PNG\r\n\x1a\n and more", "png", "image/png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp", "image/webp"),
    ],
)
def test_kind_is_told_by_the_content(content, kind, content_type):
    assert Picture.of(content) == Picture(content, kind, content_type)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svgx>",
        b"<html><svg></svg></html>",
        b"text <svg>",
        b"\xff\xd8\xff\xe0 JPEG",
        b"GIF89a",
        b"RIFF\x10\0\0\0WAVE",
        b"PNG",
        b" " * 100_000,
        b"<!--" * 10_000,
    ],
)
def test_anything_else_is_none(content):
    assert Picture.of(content) is None
