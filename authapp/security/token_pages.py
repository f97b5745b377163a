"""The pages whose address holds a token, as links in mail do.

Whoever learns the address can use the token, so it goes neither to other sites, by the Referer
header, nor into caches or logs.
"""

import re

from pyramid.interfaces import IRequest

RESET_PASSWORD = "/reset-password/"  # noqa: S105  # An address.
VERIFY_EMAIL = "/verify-email/"

_ADDRESS = re.compile(f"({RESET_PASSWORD}|{VERIFY_EMAIL})" + r"[^\s/?#'\"]+")


def is_token_page(request: IRequest) -> bool:
    """By the path, undecoded, so that it is known of pages too that say that it is garbled."""
    return _ADDRESS.search(request.environ.get("PATH_INFO", "")) is not None


def without_tokens(text: str) -> str:
    """`text` with each token in an address of a page replaced."""
    return _ADDRESS.sub(r"\1[token]", text)
