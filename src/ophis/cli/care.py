"""Commands about the installation."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

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
    from ophis.inference.doctor import examine

    with waiting("examining this machine"):
        facts = examine(load(bundle).bundle if bundle else None)
    print_facts(facts, json=json)


def completion(
    shell: Literal["bash", "zsh", "fish"],
    /,
    *,
    install: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Print the completion script of a shell for commands, options and files.

    For this shell only: `source <(ophis completion bash)`; `ophis completion fish | source`.

    Args:
        shell: bash, zsh or fish.
        install: Install it for all new shells, and print where.
    """
    from ophis.cli import app

    if install:
        print(app.install_completion(shell=shell, add_to_startup=shell == "zsh"))
    else:
        print(app.generate_completion(shell=shell))
