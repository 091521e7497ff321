"""No text for users calls a snake harmless or safe."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

import ophis
from ophis import Scores, SpeciesList, compare
from ophis.cli import app
from ophis.inference.bundles.model_card import imagenet17_card
from ophis.locales import languages, read_sentences
from tests.support.all_clear import ALL_CLEAR
from tests.support.made_bundle import write_made_bundle
from tests.support.paths import SOURCE

PYTHON = sorted(SOURCE.rglob("*.py"))
# Without the CSV tables: they quote titles of sources and are not shown to users.
OTHERS = [
    path
    for ending in ("toml", "jinja", "css", "js", "html", "webmanifest")
    for path in sorted(SOURCE.rglob(f"*.{ending}"))
]


def strings(path: Path) -> list[str]:
    """Return every string of a module except docstrings, which users do not see."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node)
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(SOURCE)))
def test_strings_of_the_package_contain_no_all_clear(path):
    for text in strings(path):
        assert not ALL_CLEAR.search(text), text
    assert "harmless" not in path.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_locales_and_pages_contain_no_all_clear(path):
    text = path.read_text(encoding="utf-8").replace("|safe }}", "}}")  # a filter of the template
    assert not ALL_CLEAR.search(text)


@pytest.mark.parametrize("language", languages())
def test_sentences_contain_no_all_clear(language):
    for keys in read_sentences(language).sections.values():
        for sentence in keys.values():
            assert not ALL_CLEAR.search(sentence), sentence


def test_help_contains_no_all_clear(capsys):
    commands = [command for command in app if not command.startswith("-")]
    assert "identify" in commands
    for command in commands:
        app([command, "--help"], result_action="return_value")
    text = capsys.readouterr().out
    assert "Name the snake in each photo" in text
    assert not ALL_CLEAR.search(text)


def test_report_contains_no_all_clear(tmp_path):
    from ophis.evaluation.report.page import write_report

    logits = np.random.default_rng(0).normal(size=(2, 12, 3)).astype(np.float32)
    ids = tuple(map(str, range(12)))
    a, b = (
        Scores(
            logits=part, species=SpeciesList(("Naja naja", "Coronella austriaca", "boa")),
            photo_ids=ids, truth=np.arange(12) % 3, countries=("kenya",) * 12, observations=ids,
        )
        for part in logits
    )  # fmt: skip
    text = write_report(compare(a, b, resamples=10), tmp_path / "r.html").read_text("utf-8")
    assert "treat every unknown snake as venomous" in text
    assert read_sentences().text("advice", "emergency") in text
    assert not ALL_CLEAR.search(text)


def test_model_card_and_service_contain_no_all_clear(tmp_path):
    from ophis.serve import create_app

    species = SpeciesList(("sea snake",))
    assert not ALL_CLEAR.search(imagenet17_card(species))
    app = create_app(ophis.load(write_made_bundle(tmp_path / "bundle", species)))
    assert not ALL_CLEAR.search(json.dumps(app.openapi()))
    for name, file in app.state.service.site.items():
        if not name.endswith(".png"):
            assert not ALL_CLEAR.search(file.body.decode()), name


@pytest.mark.parametrize(
    "text",
    [
        *("a harmless snake", "this one is safe", "non-venomous"),
        *("Es inofensiva.", "no venenosa", "Ce serpent est inoffensif.", "pas dangereux"),
        *(
            "Não é venenosa.",
            "sem perigo",
            "यह साँप विषैला नहीं है।",
            "Nyoka huyu hana sumu.",
            "Uko salama.",
        ),
    ],
)
def test_pattern_finds_all_clear(text):
    assert ALL_CLEAR.search(text)
    assert not ALL_CLEAR.search("not known to be dangerous; treat it as venomous; safetensors")
