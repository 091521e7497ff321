"""The folder boundary: only train/ knows torch, and importing ophis is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ophis

SOURCE = Path(ophis.__file__).parent
HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "onnx",
    "tensorboard",
    "safetensors",
    "numba",
    "simplejpeg",
    "ray",
    "pyarrow",
    "openvino",
    "huggingface_hub",
)
OUTSIDE = [p for p in sorted(SOURCE.rglob("*.py")) if "train" not in p.relative_to(SOURCE).parts]


COMPILED = SOURCE / "pixel_kernels.py"  # imported by name, once many photos are to be read


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


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: str(p.relative_to(SOURCE)))
def test_nothing_outside_train_imports_it_or_torch(path):
    allowed = {"numba"} if path == COMPILED else set()
    for name in module_level_imports(path):
        assert name.split(".")[0] not in {*HEAVY} - allowed
        assert name != "ophis.pixel_kernels"
        assert not name.startswith("ophis.train")


def test_the_walk_sees_an_import_that_breaks_the_rule(tmp_path):
    (tmp_path / "m.py").write_text("try:\n    import torch\nexcept ImportError:\n    pass\n")
    assert module_level_imports(tmp_path / "m.py") == {"torch"}


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_ophis_loads_nothing_heavy():
    loaded = loaded_after("import ophis")
    assert not loaded & {*HEAVY, "onnxruntime", "fastapi", "starlette", "cyclopts", "pycountry"}
    assert "numpy" in loaded


def test_importing_the_classifier_does_not_load_torch():
    loaded = loaded_after("import ophis.classifier, ophis.batch, ophis.cli")
    assert not loaded & set(HEAVY)
    assert "onnxruntime" in loaded
