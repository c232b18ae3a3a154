"""What papermill loads by its entry point for engines, when it is imported.

papermill has no entry points for translators; loading this one registers ours. It imports nothing
before it is asked: papermill looks here while it, or `aikit.papermill`, is not whole yet.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:  # noqa: ANN401  # papermill has no types
    if name != "Engine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from papermill.engines import NBClientEngine  # noqa: PLC0415  # see above

    from . import papermill  # noqa: F401, PLC0415  # it registers the translator

    return NBClientEngine
