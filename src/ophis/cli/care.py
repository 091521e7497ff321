"""Verbs about the installation itself."""

from __future__ import annotations

from ophis.cli.options import Json


def doctor(bundle: str | None = None, /, *, json: Json = False) -> None:
    """Say what this machine has, what ophis makes of it, and how fast a bundle answers here.

    Args:
        bundle: A bundle folder, or `imagenet17`: its files are checked, and each engine asked.
        json: One JSON object with all facts.
    """
    from ophis.doctor import examine
    from ophis.ready import load_by_name
    from ophis.tables import print_facts

    print_facts(examine(load_by_name(bundle).bundle if bundle else None), json=json)
