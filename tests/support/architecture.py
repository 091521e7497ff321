"""Rules for the structure of src/ophis, checked on its syntax trees.

`python -m tests.support.architecture` prints every violation, one a line.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import ophis
from tests.support.paths import SOURCE

# Imports go from left to right only.
LAYERS = (
    "cli", "serve", "web", "train", "challenges", "inference", "evaluation", "decision", "priors",
    "scores", "recipe", "datasets", "geography", "images", "taxonomy", "locales", "files", "errors",
)  # fmt: skip
TOP_ENTRIES = 18
FOLDER_MODULES = 14
FILE_LINES = 300
FUNCTION_LINES = {"fit": 80}
OTHER_FUNCTION_LINES = 40
PRIVATE_PARAMETERS = 6
SMALL_MODULE_LINES = 80
FORBIDDEN_FOLDERS = frozenset({"utils", "common", "helpers", "core", "base"})
# Small modules with one importer, kept because each is a concept of its own.
SMALL_MODULES: dict[str, str] = {
    "ophis.decision.calibration_error": "calibration errors, their floor and their debiased form",
    "ophis.evaluation.permutation": "a test of significance, to be checked by itself",
    "ophis.images.orientation": "EXIF orientation, found by the name of the file",
    "ophis.inference.answer_lines": "sentences of an answer, as in the page's answer_lines.js",
    "ophis.serve.site": "files of the page over HTTP, with ETags",
}
# Options of other programs that messages or commands of the library contain.
FOREIGN_OPTIONS = frozenset({
    "--force-directories", "--no-host-directories",  # wget
    "--force-reinstall",  # pip
    "--max-restarts",  # torchrun
    "--ignore-scripts", "--silent", "--pack-destination",  # npm
})  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef


def module_name(path: Path) -> str:
    """Return the dotted name of a source file."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module by dotted name."""
    return {
        module_name(path): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    }


def path_of(name: str) -> Path:
    """Return the source file of a module."""
    path = SOURCE.parent.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def short(name: str) -> str:
    """Return the path of a module below src/ophis."""
    return str(path_of(name).relative_to(SOURCE))


def imported_names(tree: ast.AST) -> set[str]:
    """Return every name that a module imports, at any depth and for type checking too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def graph() -> dict[str, frozenset[str]]:
    """Return for each module of ophis the modules of ophis that it imports."""
    known = modules()

    def target(name: str) -> str:
        return name if name in known else name.rpartition(".")[0]

    return {
        name: frozenset(
            target(found)
            for found in imported_names(tree)
            if found.split(".")[0] == "ophis" and target(found) in known
        )
        for name, tree in known.items()
        if name != "ophis"  # lazy: it imports a module when a name is read
    }


def cycles(edges: dict[str, frozenset[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one node."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            for following in edges.get(waiting.pop(), ()):
                if following not in found:
                    found.add(following)
                    waiting.append(following)
        return found

    reach = {node: reached(node) for node in edges}
    groups = {
        frozenset(other for other in reach[node] if node in reach.get(other, ())) for node in edges
    }
    loops = [sorted(group) for group in groups if len(group) > 1]
    return sorted(loops + [[node] for node in edges if node in edges[node]])


def layer(name: str) -> str | None:
    """Return the layer of a module; None for the files at the top that belong to none."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else None


def module_cycles() -> Iterator[str]:
    """Import cycles between modules."""
    for group in cycles(graph()):
        yield f"cycle: {', '.join(short(name) for name in group)}"


def layer_violations() -> Iterator[str]:
    """Imports from a lower layer to a higher one, or of `ophis` itself."""
    for name, targets in graph().items():
        mine = layer(name)
        if mine is None:
            continue
        if mine not in LAYERS:
            yield f"layer: {short(name)} belongs to no layer"
            continue
        for target in sorted(targets):
            other = layer(target)
            if other is None and mine != "cli":  # commands call the public functions
                yield f"layer: {short(name)} imports {target}"
            if other in LAYERS and LAYERS.index(other) < LAYERS.index(mine):
                yield f"layer: {short(name)} imports {target}, a higher layer"


def folder_violations() -> Iterator[str]:
    """Folders of too many or too few modules, or of a name without meaning."""
    entries = [
        path
        for path in SOURCE.iterdir()
        if not path.name.startswith(("__", ".")) and path.name != "py.typed"
    ]
    if len(entries) > TOP_ENTRIES:
        yield f"folder: src/ophis has {len(entries)} entries"
    for package in sorted(SOURCE.rglob("__init__.py")):
        folder = package.parent
        if folder == SOURCE:
            continue
        place = folder.relative_to(SOURCE)
        found = [path for path in folder.glob("*.py") if path != package]
        below = [path for path in folder.iterdir() if (path / "__init__.py").is_file()]
        data = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".py"]
        if len(found) > FOLDER_MODULES:
            yield f"folder: {place} has {len(found)} modules"
        if len(found) + len(below) + len(data) < 2:
            yield f"folder: {place} has one file"
    for name in modules():
        if FORBIDDEN_FOLDERS & {*name.split(".")}:
            yield f"folder: {short(name)} has a name without meaning"


def functions(tree: ast.AST) -> Iterator[Function]:
    """Return all functions of a module, methods and nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def code_lines(function: Function) -> int:
    """Return the lines of a function without its docstring, which may hold help texts."""
    first, last = function.body[0], function.body[-1]
    assert first.end_lineno
    assert last.end_lineno
    length = last.end_lineno - function.lineno + 1
    return length - (first.end_lineno - first.lineno + 1) * (
        ast.get_docstring(function) is not None
    )


def size_violations() -> Iterator[str]:
    """Files and functions that are too long, private functions of too many parameters."""
    for name, tree in modules().items():
        lines = len(path_of(name).read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES:
            yield f"size: {short(name)} has more than {FILE_LINES} lines"
        for function in functions(tree):
            length = code_lines(function)
            most = FUNCTION_LINES.get(function.name, OTHER_FUNCTION_LINES)
            if length > most:
                yield f"size: {short(name)} {function.name}() has more than {most} lines"
            arguments = function.args
            count = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs)
            if function.name.startswith("_") and function.name != "__init__":
                count -= bool(arguments.args) and arguments.args[0].arg in ("self", "cls")
                if count > PRIVATE_PARAMETERS:
                    yield (
                        f"size: {short(name)} {function.name}() has more than"
                        f" {PRIVATE_PARAMETERS} parameters"
                    )


def defining_module(name: str) -> str:
    """Return the module that defines an imported name, through the __init__ of its folder."""
    known = modules()
    if name in known:
        return name
    folder, _, attribute = name.rpartition(".")
    if folder in known and path_of(folder).name == "__init__.py":
        for node in ast.walk(known[folder]):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    if (alias.asname or alias.name) == attribute:
                        return defining_module(f"{node.module}.{alias.name}")
    return folder


def small_modules() -> Iterator[str]:
    """Modules that are short and have one importer, and are not listed in `SMALL_MODULES`."""
    importers: dict[str, set[str]] = {name: set() for name in graph()}
    for name, tree in modules().items():
        for found in imported_names(tree):
            target = defining_module(found)
            # The __init__ of a folder lists names; it is no user of them.
            if target in importers and name != target.rpartition(".")[0]:
                importers[target].add(name)
    public = {f"ophis.{module}" for module in ophis._MODULES.values()}
    for name, found in importers.items():
        path = path_of(name)
        if path.name == "__init__.py" or name in public or name in SMALL_MODULES:
            continue
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if len(found) == 1 and lines < SMALL_MODULE_LINES:
            yield f"small: {short(name)} has one importer, {short(min(found))}"
    for name in SMALL_MODULES:
        if name not in importers:
            yield f"small: {name} is excepted and does not exist"


def library() -> Iterator[tuple[str, ast.Module]]:
    """Return the modules that know no command line and no HTTP."""
    for name, tree in modules().items():
        if layer(name) not in (None, "cli", "serve"):
            yield name, tree


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Return the string literals of a module, docstrings too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node


def library_violations() -> Iterator[str]:
    """Command-line options in texts of the library, and calls of print."""
    option = re.compile(r"(?<![\w<!-])--[a-z][a-z-]+")
    for name, tree in library():
        for node in strings(tree):
            for found in {*option.findall(str(node.value))} - FOREIGN_OPTIONS:
                yield f"library: {short(name)} names the option {found}"
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
            ):
                yield f"library: {short(name)} prints"
    if graph()["ophis.errors"]:
        yield "library: errors.py imports a module of ophis"


def lazy_attributes() -> Iterator[str]:
    """Module-level `__getattr__` outside of ophis/__init__.py."""
    for name, tree in modules().items():
        if name != "ophis" and any(
            isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body
        ):
            yield f"lazy: {short(name)} has __getattr__"


def command_imports() -> Iterator[str]:
    """Imports of one module of commands by another."""
    shared = ("ophis.cli", "ophis.cli.options", "ophis.cli.outcome")
    for name, targets in graph().items():
        if name == "ophis.cli" or not name.startswith("ophis.cli."):
            continue
        for target in sorted(targets):
            if (
                target.startswith("ophis.cli")
                and target not in shared
                and not target.startswith("ophis.cli.terminal")
            ):
                yield f"cli: {short(name)} imports {short(target)}"


RULES = {
    rule.__name__: rule
    for rule in (
        module_cycles, layer_violations, folder_violations, size_violations, small_modules,
        library_violations, lazy_attributes, command_imports,
    )
}  # fmt: skip


def main() -> None:
    """Print every violation."""
    for rule in RULES.values():
        for violation in rule():
            print(violation)


if __name__ == "__main__":
    main()
