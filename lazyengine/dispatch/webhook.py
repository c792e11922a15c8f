"""CloudEvents (1.0.2, structured mode) that are signed by Standard Webhooks."""

from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from lazyengine.errors import SettingsInvalid
from lazyengine.settings import Settings

MEDIA_TYPE = "application/cloudevents+json"


def event(id: str, type: str, execution_id: str, subject: str, time: datetime, data: Any) -> dict[str, Any]:
    """Return an event about an execution; `source` and `id` name it, in however many copies it arrives."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": f"/executions/{execution_id}",
        "type": type,
        "subject": subject,
        "time": time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": data,
    }


class Signer:
    """Signs with each of the secrets, so that a receiver may know the old one or the new one.

    :raises SettingsInvalid: a secret is not `whsec_` and base64
    """

    def __init__(self, settings: Settings) -> None:
        try:
            self._webhooks = [Webhook(secret) for secret in settings.webhook_secrets.split()]
        except Exception as error:
            raise SettingsInvalid(reason="webhook_secrets has to hold 'whsec_' and base64 each") from error

    def headers(self, id: str, body: str, now: datetime) -> dict[str, str]:
        """Return the headers that a body is sent with."""
        headers = {"Content-Type": MEDIA_TYPE, "webhook-id": id, "webhook-timestamp": str(int(now.timestamp()))}
        signatures = [webhook.sign(id, now, body) for webhook in self._webhooks]
        return headers | ({"webhook-signature": " ".join(signatures)} if signatures else {})
