"""HTTP service of one bundle: JSON API, metrics and the page.

Translates library errors to HTTP; does not decide anything about an answer.
"""

from __future__ import annotations

from ophis.serve.app import create_app
from ophis.serve.limits import Limits

__all__ = ["Limits", "create_app"]
