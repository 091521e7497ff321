"""Commands about the installation."""

from __future__ import annotations

from ophis.cli.options import Json, Named


def doctor(bundle: Named | None = None, /, *, json: Json = False) -> None:
    """Show the hardware, packages and settings of this machine, and the speed of a bundle.

    Args:
        bundle: A bundle folder, or `imagenet17`, to check and to time on each engine.
        json: One JSON object with all facts.
    """
    from ophis.cli.terminal.progress import waiting
    from ophis.cli.terminal.tables import print_facts
    from ophis.inference.classifier import load
    from ophis.inference.doctor import doctor as examine

    with waiting("examining this machine"):
        facts = examine(load(bundle).bundle if bundle else None)
    print_facts(facts, json=json)
