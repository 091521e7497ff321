"""Structure of the package: layers, sizes, and the modules that an import loads."""

import ast
import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ophis
from ophis import CountryPrior, Scores, SpeciesList
from ophis.datasets.training_photos import write_training_photos
from ophis.decision.calibration import fit_temperature
from ophis.decision.rule import fit_rule
from ophis.inference.bundles.bundle import BundleWriter
from ophis.inference.bundles.index import IMAGES, MODEL
from ophis.priors.bayes import BayesPrior
from ophis.priors.overrides import Override
from ophis.priors.range_maps import RangeMap
from ophis.taxonomy.species_list import species_key
from tests.support import architecture
from tests.support.made_bundle import write_made_bundle
from tests.support.paths import SOURCE

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "onnx",
    "tensorboard",
    "safetensors",
    "numba",
    "ray",
    "pyarrow",
    "openvino",
    "pillow_heif",
    "huggingface_hub",
)
UNNEEDED = ("polars",)  # importing it takes longer than an answer
OUTSIDE = [p for p in sorted(SOURCE.rglob("*.py")) if "train" not in p.relative_to(SOURCE).parts]


def module_level_imports(path: Path) -> set[str]:
    names = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue  # runs when called, not when imported
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                continue
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
            waiting.append(node)
    return names


@pytest.mark.parametrize("rule", architecture.RULES)
def test_package_follows_rule(rule):
    violations = set(architecture.RULES[rule]())
    assert not violations, "\n".join(sorted(violations))


def test_cycles_are_found_through_several_modules():
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}
    found = architecture.cycles({name: frozenset(to) for name, to in edges.items()})
    assert found == [["a", "b", "c"]]


def test_imports_are_found_at_any_depth():
    code = (
        "if TYPE_CHECKING:\n    from a import b\n"
        "def f():\n    import c.d\n    def g():\n        from e import h\n"
    )
    assert architecture.imported_names(ast.parse(code)) == {"a.b", "c.d", "e.h"}


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_outside_train_import_no_heavy_library_at_once(path):
    for name in module_level_imports(path):
        assert name.split(".")[0] not in HEAVY


def test_module_level_imports_are_found_inside_try(tmp_path):
    (tmp_path / "m.py").write_text("try:\n    import torch\nexcept ImportError:\n    pass\n")
    assert module_level_imports(tmp_path / "m.py") == {"torch"}


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def packages(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


def test_import_of_ophis_loads_no_module():
    loaded = loaded_after("import ophis")
    assert {name for name in loaded if name.startswith("ophis.")} == set()
    assert not packages(loaded) & {*HEAVY, *UNNEEDED, "numpy", "onnxruntime", "PIL", "cyclopts"}


def test_public_names_load_on_first_access():
    assert {*ophis._MODULES, "load"} == {*ophis.__all__}
    assert {*ophis.__all__} <= {*dir(ophis)}
    for name, module in ophis._MODULES.items():
        found = getattr(ophis, name)
        assert found is getattr(importlib.import_module(f"ophis.{module}"), name)
        assert found.__module__ == f"ophis.{module}"
    with pytest.raises(AttributeError, match=r"module 'ophis' has no attribute 'read_manifests'"):
        _ = ophis.read_manifests


def test_import_of_classifier_loads_no_torch():
    loaded = packages(
        loaded_after(
            "import ophis.cli, ophis.inference.bundles.registry, ophis.serve"
            ", ophis.inference.batches"
        )
    )
    assert not loaded & {*HEAVY, *UNNEEDED}
    assert "onnxruntime" in loaded


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """A bundle with every optional table: counts, range map, prior overrides, guarantees."""
    species = SpeciesList(("Naja naja", "Boa constrictor", "Vipera berus"))
    counts = CountryPrior(species, ("india", "sweden"), np.array([[5, 0, 0], [0, 0, 5]]))
    range_map = RangeMap(
        {species_key(name): frozenset({"IN"}) for name in species}, frozenset({"IN"})
    )
    overrides = (Override("india", "Boa constrictor", 0.0),)
    prior = BayesPrior(counts, range_map=range_map, overrides=overrides)
    photos = np.arange(60)
    scores = Scores(
        np.eye(3)[photos % 3],
        species,
        tuple(map(str, photos)),
        photos % 3,
        ("india",) * 60,
        tuple(map(str, photos)),
    )
    folder = write_made_bundle(tmp_path_factory.mktemp("light") / "plain", species)
    whole = folder.with_name("whole")
    with BundleWriter(whole) as writer:
        for name in (MODEL, IMAGES):
            shutil.copy(folder / name, writer.folder / name)
        calibration, rule = fit_temperature(scores), fit_rule(scores, prior=prior)
        writer.write(species=species, calibration=calibration, prior=prior, rule=rule, card="")
        write_training_photos(writer.folder, np.zeros(0, np.uint64))
    return whole


@pytest.mark.parametrize("country", ["", "--country India"])
def test_identify_loads_only_needed_modules(bundle, synthetic_photo, country):
    command = ["identify", str(bundle), str(synthetic_photo), *country.split(), "--json"]
    loaded = loaded_after(
        "from ophis.cli import main\n"
        f"try: main({command})\nexcept SystemExit as end: assert not end.code, end.code"
    )
    assert {
        "onnxruntime",
        "ophis.priors.range_maps",
        "ophis.priors.overrides",
        "ophis.decision.guarantees",
    } <= loaded
    assert not packages(loaded) & {*HEAVY, *UNNEEDED, "babel", "fastapi", "pandas"}
    unneeded = {
        "numpy.ma",
        "rich.table",
        "rich.progress",
        "ophis.cli.terminal.tables",
        "ophis.datasets.sources",
    }
    assert not loaded & unneeded


def test_identify_as_text_loads_no_polars(bundle, synthetic_photo):
    command = ["identify", str(bundle), str(synthetic_photo)]
    loaded = loaded_after(
        f"from ophis.cli import main\ntry: main({command})\nexcept SystemExit: pass"
    )
    assert "rich.table" in loaded
    assert "polars" not in loaded
