"""The real server with one part replaced: ``CHECKOUT_WEIGHTS`` names a scene, not weights.

Camera, settling, checkout, database, prices, pages and sockets are the real ones. As with
``wsgi``, importing this starts all of it.
"""

from app import create_app
from app.settings import Settings, use_time_zone
from app.web.logs import log_to_stderr
from app.web.parts import Parts
from tests.web.scene import SceneDetector

log_to_stderr()
settings = Settings.from_env()
use_time_zone(settings)
parts = Parts(settings, load=lambda weights, runtime: SceneDetector(weights))
app = create_app(settings, parts)
parts.start()
