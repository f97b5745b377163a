"""What the settings make of the looks: a small stylesheet and the logo, as files of the site's own.

They are made once, at start-up. The hash of what is in them stands in their names, so that a
browser may keep them for as long as it likes, and asks anew when they change.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pyramid.httpexceptions import HTTPNotFound
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.view import view_config

from authapp.domain.theme import Theme
from authapp.settings import SiteSettings
from authapp.views.static_files import compressed, takes_gzip

ROUTE = "brand"
# As narrow as this, it takes no address from an application that has brands of its own.
_NAME = r"(?:theme|logo)-[0-9a-f]{16}\.(?:css|svg|png|webp)"
PATTERN = f"/brand/{{name:{_NAME}}}"
PATH = f"/brand/{_NAME}"

_YEAR = 365 * 24 * 3600
# An SVG is a document, which could run scripts if it were opened by itself.
_HARMLESS = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
# A logo is as wide as it likes to be, within reason.
_LOGO_RULE = ".brand img{inline-size:auto;max-inline-size:10rem;object-fit:contain}"


@dataclass(frozen=True, slots=True)
class BrandFile:
    """`compressed` is none where that saves nothing."""

    name: str
    content: bytes
    compressed: bytes | None
    content_type: str


@dataclass(frozen=True, slots=True)
class Brand:
    """The files of this site; each is None where no setting asks for it."""

    stylesheet: BrandFile | None
    logo: BrandFile | None

    @classmethod
    def of(cls, site: SiteSettings) -> "Brand":
        rules = ([_tokens(site.theme)] if site.accent or site.accent_dark else []) + (
            [_LOGO_RULE] if site.logo else []
        )
        css, logo = "\n".join(rules).encode(), site.logo
        return cls(
            stylesheet=_file("theme", "css", css, "text/css") if css else None,
            logo=_file("logo", logo.kind, logo.content, logo.content_type) if logo else None,
        )

    @property
    def files(self) -> Mapping[str, BrandFile]:
        """By their names."""
        return {file.name: file for file in (self.stylesheet, self.logo) if file is not None}


def address(request: IRequest, file: BrandFile | None) -> str | None:
    """The path under which the file is served, for templates."""
    if file is None:
        return None
    return request.route_path(ROUTE, name=file.name)  # type: ignore[no-any-return]


@view_config(route_name=ROUTE, request_method="GET")
def brand(request: IRequest) -> Response:
    """A name of another hash is not found, rather than answered with what it does not stand for."""
    file = request.registry[Brand].files.get(request.matchdict["name"])
    if file is None:
        raise HTTPNotFound
    charset = "UTF-8" if file.content_type == "text/css" else None
    response = Response(body=file.content, content_type=file.content_type, charset=charset)
    response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
    if file.content_type == "image/svg+xml":
        response.headers["Content-Security-Policy"] = _HARMLESS
    if file.compressed is not None:
        response.vary = ("Accept-Encoding",)
        if takes_gzip(request):
            response.body, response.content_encoding = file.compressed, "gzip"
    return response


def _tokens(theme: Theme) -> str:
    values = {
        "--brand": theme.accent,
        "--on-brand": theme.on_accent,
        "--brand-dark": theme.accent_dark,
        "--on-brand-dark": theme.on_accent_dark,
    }
    return ":root{" + ";".join(f"{name}:{value}" for name, value in values.items()) + "}"


def _file(stem: str, kind: str, content: bytes, content_type: str) -> BrandFile:
    digest = hashlib.sha256(content).hexdigest()[:16]
    name = f"{stem}-{digest}.{kind}"
    return BrandFile(name, content, compressed(content, content_type), content_type)
