"""The server's entry, ``gunicorn -c gunicorn.conf.py wsgi:app``: importing it starts all."""

from __future__ import annotations

import sys
from dataclasses import replace

from app import create_app
from app.errors import CheckoutError
from app.settings import Settings, load_secret_key, use_time_zone
from app.web.logs import log_to_stderr
from app.web.parts import Parts

GIVE_UP = 3  # gunicorn's "worker failed to boot": it stops instead of trying again for ever

log_to_stderr()
try:
    settings = Settings.from_env()
    use_time_zone(settings)
    settings = replace(settings, secret_key=load_secret_key(settings))
    parts = Parts(settings)
    app = create_app(settings, parts)
    parts.start()
except CheckoutError as error:
    print(f"checkout: {error}", file=sys.stderr)
    sys.exit(GIVE_UP)
