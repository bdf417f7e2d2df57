from __future__ import annotations

import re
from typing import Optional

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"(\d+(?:\.\d*)?)(ns|us|µs|μs|ms|s|m|h)"


def duration_seconds(text: str) -> Optional[float]:
    """Seconds of a Go duration such as ``1h30m``; None for what is none."""
    if not re.fullmatch(f"(?:{_PART})+", text):
        return None
    return sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in re.findall(_PART, text))
