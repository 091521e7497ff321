"""Verbs about the installation itself."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from ophis.cli.options import Json, Named


def doctor(bundle: Named | None = None, /, *, json: Json = False) -> None:
    """Say what this machine has, what ophis makes of it, and how fast a bundle answers here.

    Args:
        bundle: A bundle folder, or `imagenet17`: its files are checked, and each engine asked.
        json: One JSON object with all facts.
    """
    from ophis.cli.terminal.progress import waiting
    from ophis.cli.terminal.tables import print_facts
    from ophis.inference.classifier import load
    from ophis.inference.doctor import examine

    with waiting("looking at this machine"):
        facts = examine(load(bundle).bundle if bundle else None)
    print_facts(facts, json=json)


def completion(
    shell: Literal["bash", "zsh", "fish"],
    /,
    *,
    install: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Print what makes the shell complete verbs, options and files after the Tab key.

    For this shell only: `source <(ophis completion bash)`; `ophis completion fish | source`.

    Args:
        shell: bash, zsh or fish.
        install: Put it where the shell finds it each time it starts, and say where.
    """
    from ophis.cli import app

    if install:
        print(app.install_completion(shell=shell, add_to_startup=shell == "zsh"))
    else:
        print(app.generate_completion(shell=shell))
