from __future__ import annotations

from hypothesis import settings

# A loaded machine is no defect of a parser.
settings.register_profile("harness", deadline=None)
settings.load_profile("harness")
