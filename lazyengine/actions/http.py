"""`std.http` and `std.mistral_http`: a task that is an HTTP request.

Parameters and results are those of Mistral's `actions/std_actions.py` (HTTPAction, MistralHTTPAction), where requests
sends the request; here it goes through `lazyengine.outbound`.  Different: proxies are not used, `verify` is true or
false, and redirects are followed within their origin only.
"""

import base64
import json as json_text
import time
from collections.abc import Mapping
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, urlencode

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from lazyengine.actions.contract import ActionFailed, Context, Later
from lazyengine.outbound import TIMEOUT_SECONDS, Response

SUCCESSFUL = range(200, 307)
DEFAULT_HEADERS = {"User-Agent": "lazyengine", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}


def http(
    context: Context,
    url: str,
    method: str = "GET",
    params: dict[str, Any] | str | None = None,
    body: Any = None,
    json: Any = None,
    headers: dict[str, Any] | None = None,
    cookies: dict[str, str] | None = None,
    auth: str | None = None,
    timeout: float | None = None,
    allow_redirects: bool | None = None,
    proxies: dict[str, str] | None = None,
    verify: bool | None = None,
) -> dict[str, Any]:
    """Send a request and return the answer; one with a status of 307 or more is a failure, with the answer as result.

    :param params: for the query of the URL; None among the values leaves its name out
    :param body: a string as it is, anything else as JSON
    :param json: any JSON; says so in Content-Type
    :param auth: "user:password"
    :param timeout: seconds for all of it
    """
    if body and json:
        raise ActionFailed("Give either 'body' or 'json'.", "http.parameters")
    if proxies:
        raise ActionFailed("Proxies are not used: they would resolve the name of the host anew.", "http.parameters")
    if not isinstance(verify, bool | None):
        raise ActionFailed("'verify' is true or false.", "http.parameters")
    sent = {name: str(value) for name, value in (headers or {}).items() if value is not None}
    if not body and json is not None:
        body, sent = json_text.dumps(json), {"Content-Type": "application/json"} | sent
    if cookies:
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if auth:
        sent["Authorization"] = _basic(auth)
    began = time.monotonic()
    answer = context.outbound.request(
        method,
        _with_query(url, params),
        _encoded(body, method),
        DEFAULT_HEADERS | sent,
        TIMEOUT_SECONDS if timeout is None else float(timeout),
        verify=verify is not False,
        follow=bool(allow_redirects),
    )
    result = _shape(answer) | {"elapsed": time.monotonic() - began}
    if answer.status not in SUCCESSFUL:
        raise ActionFailed(f"The answer is {answer.status} {answer.reason}", "http.status", result=result)
    return result


def mistral_http(context: Context, headers: dict[str, Any] | None = None, **request: Any) -> Later:
    """Send a request that says where the task can be completed, and leave that to whoever got it.

    Mistral's header with the name of the workflow is not sent: an assignment does not have it.
    """
    task = context.assignment
    run = f"{task['execution_id']}:{quote(task['task'], safe='')}:{task['iteration']}"
    told = {
        "Mistral-Workflow-Execution-Id": task["execution_id"],
        "Mistral-Task-Id": run,
        "Mistral-Action-Execution-Id": f"{run}:{task['item'] or 0}:{task['attempt']}",
        "Mistral-Callback-URL": task.get("callback_url"),
    }
    http(context, headers=(headers or {}) | told, **request)
    return Later()


def _basic(auth: str) -> str:
    user, colon, password = auth.partition(":")
    if not colon:
        raise ActionFailed("'auth' is 'user:password'.", "http.parameters")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _encoded(body: Any, method: str) -> bytes | None:
    if body is None or body == "":
        return None if method.upper() in ("GET", "HEAD") else b""
    return (body if isinstance(body, str) else json_text.dumps(body)).encode()


def _with_query(url: str, params: dict[str, Any] | str | None) -> str:
    """Add parameters to the query of a URL; one that cannot be taken apart is left to `outbound` to refuse."""
    if not params:
        more = ""
    elif isinstance(params, str):
        more = params
    else:
        lists = {name: value if isinstance(value, list) else [value] for name, value in params.items()}
        more = urlencode({name: [one for one in values if one is not None] for name, values in lists.items()}, True)
    try:
        place = parse_url(url)
    except LocationParseError:
        return url
    query = "&".join(part for part in (place.query, more) if part)
    return place._replace(path=place.path or "/", query=query or None).url


def _shape(answer: Response) -> dict[str, Any]:
    encoding = _encoding(answer.headers)
    return {
        "content": _content(answer.body, encoding),
        "status": answer.status,
        "headers": {name: answer.headers[name] for name in answer.headers},
        "url": answer.url,
        "history": [{"status": status, "url": url} for status, url in answer.history],
        "encoding": encoding,
        "reason": answer.reason,
        "cookies": _cookies(answer.headers.getlist("Set-Cookie")),
    }


def _encoding(headers: Mapping[str, str]) -> str | None:
    """Return the character set that the answer is in (requests: `utils.py`, get_encoding_from_headers)."""
    message = Message()
    message["Content-Type"] = headers.get("Content-Type", "")
    charset = message.get_param("charset")
    kind = headers.get("Content-Type", "").partition(";")[0].lower()
    if isinstance(charset, str) and charset:
        return charset
    if "text" in kind:
        return "ISO-8859-1"
    return "utf-8" if "application/json" in kind else None


def _content(body: bytes, encoding: str | None) -> Any:
    """Return what JSON says, or else the text."""
    try:
        text = body.decode(encoding or "utf-8", "replace")
    except LookupError:
        text = body.decode("utf-8", "replace")
    try:
        return json_text.loads(text if encoding else body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _cookies(lines: list[str]) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    for line in lines:
        try:
            jar.load(line)
        except CookieError:
            continue
    return {name: morsel.value for name, morsel in jar.items()}
