"""Requests to addresses that callers name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from lazyengine.errors import OutboundFailed


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int
    headers: Any
    body: bytes


class Outbound:
    """A stand-in: checks nothing."""

    def __init__(self, allow: Sequence[str] = ()) -> None:
        self._pool = urllib3.PoolManager(retries=False)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> Response:
        """POST a document.

        :raises OutboundFailed: no answer came, or not in time
        """
        try:
            answer = self._pool.request("POST", url, body=body, headers=headers, timeout=timeout_seconds)
        except HTTPError as error:
            raise OutboundFailed(where=url, reason=str(error)) from error
        return Response(answer.status, answer.headers, answer.data)
