"""For `gunicorn -c gunicorn.conf.py lazyengine.wsgi:application`; settings come from LAZYENGINE_… variables."""

from lazyengine.serving import *  # noqa: F403
