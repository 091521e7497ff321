"""Tables of synthetic results on wide and narrow terminals."""

import io

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from ophis import Scores, SpeciesList, compare, evaluate
from ophis.cli.terminal import tables

NAMES = ("efficientnet-lite-320-pixels", "bit-r50-384-pixels-in21k")
MORE = ("snakeclef2023-track1", "snakeclef2024-track1", "log loss", "Brier", "classwise ECE")


def made(seed: int) -> Scores:
    ids = tuple(map(str, range(40)))
    return Scores(
        logits=np.random.default_rng(seed).normal(size=(40, 3)).astype(np.float32),
        species=SpeciesList(("a", "b", "c")),
        photo_ids=ids,
        truth=np.arange(40) % 3,
        countries=("kenya",) * 40,
        observations=ids,
    )


def evaluations():
    evaluated = {(name, False): evaluate(made(seed)) for seed, name in enumerate(NAMES)}
    return evaluated, dict.fromkeys(evaluated, dict.fromkeys(MORE, 0.1234))


def on_a_terminal(monkeypatch, width: int) -> io.StringIO:
    out = io.StringIO()
    monkeypatch.setattr(tables, "console", lambda: Console(file=out, width=width))
    return out


@pytest.mark.parametrize("width", [52, 60, 100, 200])
def test_figures_and_names_are_never_truncated(monkeypatch, width):
    out = on_a_terminal(monkeypatch, width)
    evaluated, more = evaluations()
    tables.print_evaluations(evaluated, more)
    tables.print_comparison(compare(made(0), made(1), names=NAMES, resamples=10))
    text = out.getvalue()
    assert "…" not in text
    assert all(cell_len(line) <= width for line in text.splitlines())
    for word in (*NAMES, *MORE, *(f"{e.top1:.2%}" for e in evaluated.values())):
        assert word in text


def test_wide_terminal_has_one_row_per_model(monkeypatch):
    out = on_a_terminal(monkeypatch, 200)
    tables.print_evaluations(*evaluations())
    head, *rows = out.getvalue().splitlines()
    assert head.split()[:2] == ["model", "country"]
    assert [row.split()[0] for row in rows] == list(NAMES)


def test_table_is_not_wrapped_in_files(capsys):
    evaluated, more = evaluations()
    tables.print_evaluations(evaluated, {key: row | {"x" * 200: 0.5} for key, row in more.items()})
    head, *rows = capsys.readouterr().out.splitlines()
    assert "x" * 200 in head
    assert [row.split()[0] for row in rows] == list(NAMES)
