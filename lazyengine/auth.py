"""Who is calling: static bearer tokens, each with the owner whose executions it may see (RFC 6750)."""

import hmac

from lazyengine.errors import AuthenticationRequired, SettingsInvalid
from lazyengine.settings import Settings

NOBODY = ""
"""The owner of everything where authentication is off."""


class Authenticator:
    """Tell the owner from an Authorization header."""

    def __init__(self, settings: Settings) -> None:
        pairs = [pair.partition(":") for pair in settings.auth_tokens.split()]
        if any(not owner or not token for owner, _, token in pairs):
            raise SettingsInvalid(reason="auth_tokens has to hold 'owner:token' pairs, separated by blanks")
        self._tokens = [(owner, token.encode()) for owner, _, token in pairs]

    @property
    def enabled(self) -> bool:
        return bool(self._tokens)

    def tokens(self) -> list[str]:
        """Return one token of each owner."""
        return list({owner: token.decode() for owner, token in reversed(self._tokens)}.values())

    def owner(self, authorization: str | None) -> str:
        """Return the owner whose token this is; every token is compared, in constant time.

        :raises AuthenticationRequired: no or no known bearer token, and authentication is on
        """
        if not self._tokens:
            return NOBODY
        # a header's bytes reach WSGI as latin-1 (PEP 3333)
        scheme, _, given = (authorization or "").partition(" ")
        matches = [
            owner for owner, token in self._tokens if hmac.compare_digest(token, given.strip().encode("latin-1"))
        ]
        if scheme.lower() != "bearer" or not matches:
            raise AuthenticationRequired()
        return matches[0]
