"""Tell Mistral what has become of an execution that one of its workflows started here.

    WEBHOOK_SECRET=whsec_… python examples/mistral/receiver.py http://mistral:8989 --port 8990

A notification to http://…:8990/<id of a Mistral task> completes the action of that task which asked for the execution.
It may be repeated: an action that has ended is left alone.  After an error the dispatcher comes again.
"""

import argparse
import json
import os
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

STATES = {"SUCCESS": "SUCCESS", "FAILURE": "ERROR", "REVERTED": "ERROR", "CANCELLED": "CANCELLED"}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            event = Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, dict(self.headers))
            self.complete(uuid.UUID(self.path.strip("/")), event["data"])
            status = 204
        except WebhookVerificationError:
            status = 401
        except (ValueError, KeyError):  # no id of a task, or not an event of an execution
            status = 400
        except OSError:  # Mistral does not answer, or refuses
            status = 502
        self.send_response(status)
        self.end_headers()

    def complete(self, task, execution):
        running = self.mistral("GET", f"/v2/tasks/{task}/action_executions?state=RUNNING&fields=id,input")
        for action in running["action_executions"]:  # a task that is tried again has several
            if execution["id"] in action["input"]:
                output = {name: execution[name] for name in ("id", "state", "state_info", "output")}
                report = {"state": STATES[execution["state"]], "output": output}
                self.mistral("PUT", f"/v2/action_executions/{action['id']}", report)

    def mistral(self, method, path, body=None):
        data = body and json.dumps(body).encode()
        url, headers = self.server.mistral + path, {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("mistral", help="URL of Mistral's API")
    options.add_argument("--port", type=int, default=8990)
    options = options.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Receiver)
    server.mistral = options.mistral
    server.serve_forever()
