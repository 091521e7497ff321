"""The service: one bundle behind HTTP, the same answers as the command line, and the page."""

from __future__ import annotations

from ophis.serve.app import create_app
from ophis.serve.limits import Limits

__all__ = ["Limits", "create_app"]
