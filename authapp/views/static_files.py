"""The files that the pages are made of, cached by browsers until they change.

docs/decisions/019-static-files.md says why it is so.
"""

import gzip
import hashlib
import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.interfaces import IRequest
from pyramid.response import Response
from pyramid.static import QueryStringCacheBuster, static_view

from authapp.settings import Settings

STATIC_PREFIX = "static/authapp"
FOLDER = "authapp:static/"
HASH_PARAMETER = "v"
HASH_LENGTH = 16

# The address of what has other content is another one.
FOR_A_YEAR = "public, max-age=31536000, immutable"
FOR_AN_HOUR = "public, max-age=3600"
# To be asked for anew each time, by whoever looked for content that this process does not have.
FOR_NOW = "no-cache"

# What other formats hold is compressed already.
COMPRESSIBLE = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "image/svg+xml",
        "image/x-icon",
    }
)


def includeme(config: Configurator) -> None:
    """Serves the folder, and gives the addresses of its files, as `request.static_path` makes
    them, a hash of what the file holds. Folders of the application's own are left alone."""
    files = StaticFiles(watch=config.registry[Settings].mode.development)
    # Pyramid's own view is what makes the addresses known, and answers where ours does not: it
    # stands for all methods, ours for those by which files are asked for.
    config.add_static_view(STATIC_PREFIX, FOLDER)
    prefix = f"{config.route_prefix}/" if config.route_prefix else ""
    config.add_view(
        StaticFilesView(files),
        route_name=f"__{prefix}{STATIC_PREFIX}/",
        request_method="GET",
    )
    config.add_cache_buster(FOLDER, HashCacheBuster(files))


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it was when it was read. `compressed` is none where that saves nothing."""

    content: bytes
    compressed: bytes | None
    hash: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file that has changed differs in."""

    path: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: str) -> "Stamp":
        status = Path(path).stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def is_unchanged(self) -> bool:
        try:
            return Stamp.of(self.path) == self
        except OSError:
            return False


class StaticFiles:
    """Files that have been read, once each, so that the hash in an address and what is sent under
    it always belong together. With `watch` a file that changes is read again."""

    def __init__(self, *, watch: bool) -> None:
        self._watch = watch
        self._read: dict[str, tuple[Stamp, StaticFile]] = {}
        # Knows what an application has put in place of a file: `config.override_asset`.
        self._view = static_view(FOLDER, use_subpath=True)

    def requested(self, request: IRequest) -> StaticFile | None:
        """By the address. Raises Pyramid's `HTTPNotFound` for one that leads out of the folder,
        and its redirect for that of a folder."""
        return self._get(self._view.get_resource_name(request))

    def named(self, subpath: str) -> StaticFile | None:
        """By the path below the folder."""
        return self._get(self._view.docroot + subpath)

    def _get(self, name: str) -> StaticFile | None:
        known = self._read.get(name)
        if known is not None and (not self._watch or known[0].is_unchanged()):
            return known[1]
        path = self._view.find_resource_path(name)
        if path is None or not os.path.isfile(path):  # noqa: PTH113
            return None
        known = (Stamp.of(path), read(path, name))
        self._read[name] = known
        return known[1]


def read(path: str, name: str) -> StaticFile:
    """The type is that of the name which it was asked for by."""
    content = Path(path).read_bytes()
    content_type = mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"
    return StaticFile(
        content=content,
        compressed=compressed(content, content_type),
        hash=hashlib.sha256(content).hexdigest()[:HASH_LENGTH],
        content_type=content_type,
    )


def compressed(content: bytes, content_type: str) -> bytes | None:
    """None where that saves nothing."""
    if not content_type.startswith("text/") and content_type not in COMPRESSIBLE:
        return None
    smaller = gzip.compress(content, mtime=0)
    return smaller if len(smaller) < len(content) else None


class HashCacheBuster(QueryStringCacheBuster):  # type: ignore[misc]
    """`/static/authapp/site.css?v=HASH`; an address of what is not there is left as it is."""

    def __init__(self, files: StaticFiles) -> None:
        super().__init__(HASH_PARAMETER)
        self._files = files

    def __call__(self, request: IRequest, subpath: str, kw: dict[str, Any]) -> Any:
        if self._files.named(subpath) is None:
            return subpath, kw
        return super().__call__(request, subpath, kw)

    def tokenize(self, request: IRequest, subpath: str, kw: dict[str, Any]) -> str:
        file = self._files.named(subpath)
        return file.hash if file is not None else ""


class StaticFilesView:
    """Ranges, conditions and HEAD are WebOb's business (`conditional_response`)."""

    def __init__(self, files: StaticFiles) -> None:
        self._files = files

    def __call__(self, context: Any, request: IRequest) -> Response:
        file = self._files.requested(request)
        if file is None:
            raise HTTPNotFound(request.url)
        response = Response(content_type=file.content_type, conditional_response=True)
        if file.content_type.startswith("text/"):
            response.charset = "UTF-8"
        response.headers["Cache-Control"] = cache_control(request, file)
        # There is no Last-Modified, as installers set the times of files to what they like.
        if file.compressed is not None:
            response.vary = ("Accept-Encoding",)
        if file.compressed is not None and takes_gzip(request):
            response.content_encoding = "gzip"
            response.body, response.etag = file.compressed, f"{file.hash}-gzip"
        else:
            response.accept_ranges = "bytes"
            response.body, response.etag = file.content, file.hash
        return response


def cache_control(request: IRequest, file: StaticFile) -> str:
    """While a new version is being brought out, one process may be asked for the files of the
    other's pages. What it has under that name must not be taken for what was asked for."""
    asked = request.GET.get(HASH_PARAMETER)
    if asked is None:
        return FOR_AN_HOUR
    return FOR_A_YEAR if asked == file.hash else FOR_NOW


def takes_gzip(request: IRequest) -> bool:
    """A part of a file is one of the file as it is, not of what it was compressed to."""
    accepted = request.accept_encoding
    is_accepted = bool(accepted) and bool(accepted.acceptable_offers(["gzip"]))
    return is_accepted and "Range" not in request.headers
