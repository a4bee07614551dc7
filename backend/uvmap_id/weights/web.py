"""One request to a file server: proxies, redirects and the hub's token.

`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured. Plain http goes to this computer only, and the hub's token to
the hub's host only: the servers that it redirects to never see it.
"""

from __future__ import annotations

import email.message
import http.client
import ipaddress
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO
from urllib.parse import SplitResult, quote, urlsplit

from uvmap_id import __version__
from uvmap_id.link.errors import ErrorCode, UVMapError
from uvmap_id.weights.catalogue import RemoteFile

ENDPOINT_VARIABLE = "HF_ENDPOINT"
TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105

_HUB = "https://huggingface.co"
_MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Address:
    """Where a file is, and the token that its server, and no other, may see."""

    url: str
    token: str = ""


def address_of(file: RemoteFile) -> Address:
    """The address of a file in the catalogue; `HF_ENDPOINT` moves the hub.

    Raises:
        UVMapError: `download_failed`: the address is neither https nor on this computer, or the token can't be one.
    """
    if not file.repository:
        return Address(_allowed(file.url))
    endpoint = os.environ.get(ENDPOINT_VARIABLE, "").strip().rstrip("/") or _HUB
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not (token.isascii() and token.isprintable()):
        raise UVMapError(
            ErrorCode.DOWNLOAD_FAILED, f"{TOKEN_VARIABLE} holds no token.", "Copy it from the hub again, or unset it."
        )
    url = f"{endpoint}/{file.repository}/resolve/{quote(file.revision, safe='')}/{quote(file.path)}"
    return Address(_allowed(url), token)


@dataclass(slots=True)
class Answer:
    """A server's answer.

    Attributes:
        status: The HTTP status; 300 to 399 only where redirects are not followed.
        headers: Of the last server.
        announced: Headers of the first server, which may have redirected.
        body: To read from, and to close.
    """

    status: int
    headers: email.message.Message
    announced: email.message.Message
    body: http.client.HTTPResponse | urllib.error.HTTPError

    def close(self) -> None:
        """End the connection."""
        self.body.close()


def ask(
    address: Address, headers: Mapping[str, str], timeout_s: float, method: str = "GET", follow: bool = True
) -> Answer:
    """Send a request and wait for the answer's headers.

    Args:
        address: What to ask for.
        headers: Besides those that every request has.
        timeout_s: For connecting, and for each wait for data.
        method: "GET" or "HEAD".
        follow: False to stop at a redirect that leads to another host.

    Returns:
        The answer, whatever its status.

    Raises:
        UVMapError: `download_failed`: a redirect that must not be followed.
        OSError: No connection, or it broke.
        http.client.HTTPException: What came is no HTTP.
    """
    redirects = Redirects(address, follow)
    headers = {"User-Agent": f"uvmap-id/{__version__}", "Accept-Encoding": "identity", **headers}
    request = urllib.request.Request(address.url, headers=headers, method=method)  # noqa: S310
    redirects.authorise(request)
    # Only what is needed: the default opener would also open file: and ftp: addresses.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        redirects,
    ):
        opener.add_handler(handler)
    try:
        body = opener.open(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, redirects.announced or error.headers, error)
    return Answer(body.status, body.headers, redirects.announced or body.headers, body)


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects of one request, with the token where it belongs and without it elsewhere."""

    max_redirections = _MAX_REDIRECTS
    max_repeats = _MAX_REDIRECTS

    def __init__(self, origin: Address, follow: bool) -> None:
        self._origin = origin
        self._follow = follow
        self.announced: email.message.Message | None = None

    def authorise(self, request: urllib.request.Request) -> None:
        """Add the token, if the request goes where the token belongs."""
        if self._origin.token and _place(request.full_url) == _place(self._origin.url):
            # "unredirected" keeps urllib from handing it on.
            request.add_unredirected_header("Authorization", f"Bearer {self._origin.token}")

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: email.message.Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Urllib's hook: what to ask for instead, or None to stop here."""
        if self.announced is None:
            self.announced = headers
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise _refused(newurl, "would leave https")
        target = _allowed(newurl)
        if not self._follow and _place(target) != _place(req.full_url):
            return None
        follower = urllib.request.Request(target, headers=dict(req.headers), method=req.get_method())  # noqa: S310
        self.authorise(follower)
        return follower


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _allowed(url: str) -> str:
    try:
        parts = urlsplit(url)
        proper = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise _refused(url, "is no web address") from None
    if not proper:
        raise _refused(url, "is no web address")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts)):
        return url
    raise _refused(url, "is not https")


def _is_here(parts: SplitResult) -> bool:
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _refused(url: str, why: str) -> UVMapError:
    return UVMapError(
        ErrorCode.DOWNLOAD_FAILED,
        f"The address {url[:200]} {why}.",
        f"Where {ENDPOINT_VARIABLE} is set, give it an https address.",
    )
