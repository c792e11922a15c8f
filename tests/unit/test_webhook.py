"""Signatures of Standard Webhooks, and pauses between tries."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from lazyengine.backoff import backoff_seconds
from lazyengine.dispatch.webhook import Signer
from lazyengine.errors import SettingsInvalid
from lazyengine.settings import Settings

OLD, NEW = "whsec_b2xkIHNlY3JldCwgYnV0IHN0aWxsIGtub3du", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_each_secret_signs() -> None:
    """So secrets can be changed without a moment in which nobody is believed."""
    headers = Signer(Settings(webhook_secrets=f"{NEW} {OLD}")).headers("id-1", '{"k":1}', datetime.now(UTC))
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(b'{"k":1}', headers) == {"k": 1}
    assert len(headers["webhook-signature"].split()) == 2


def test_without_secrets_nothing_is_signed() -> None:
    """But the id is there, to know a copy by."""
    headers = Signer(Settings()).headers("id-1", "{}", datetime.now(UTC))
    assert headers["webhook-id"] == "id-1"
    assert "webhook-signature" not in headers


def test_a_secret_that_is_none_is_refused() -> None:
    """At the start, not at the first notification."""
    with pytest.raises(SettingsInvalid, match="webhook_secrets"):
        Signer(Settings(webhook_secrets="whsec_x"))


def test_pauses_double_up_to_a_bound() -> None:
    """And are spread."""
    longest = [backoff_seconds(n, 0.5, 60, lambda low, high: high) for n in range(1, 10)]
    assert longest == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert backoff_seconds(10_000) <= 60
    assert all(0.5 <= backoff_seconds(1) <= 1 for _ in range(100))
