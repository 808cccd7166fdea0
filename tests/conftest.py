"""What every test shares."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("polo", deadline=None, max_examples=50)
settings.load_profile("polo")

# whatever else is installed beside polo must not change results
os.environ["POLO_PLUGINS"] = ""
os.environ.pop("POLO_DISABLE_PLUGINS", None)
os.environ.pop("POLO_STRICT_PLUGINS", None)
