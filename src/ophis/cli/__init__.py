"""Command line of ophis: one function a command, in modules by command group.

A command parses its arguments, calls one public function of the library and prints the result.
Results go to stdout, progress and warnings to stderr. Exit status: 0 for success, 1 if some photos
failed (each is listed), 2 for a wrong request or an output that cannot be written, 130 and 143 if
stopped by a signal.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Group, Parameter

from ophis.cli.answers import identify, score, serve
from ophis.cli.care import doctor
from ophis.cli.challenges import aicrowd, check_submission, read_submissions, submit
from ophis.cli.demo import demo, sample
from ophis.cli.evaluation import card, compare, evaluate, species_map, study
from ophis.cli.models import combine, export, quantise, train
from ophis.cli.options import STANDARD_INPUT
from ophis.cli.photos import collect, pack, split
from ophis.cli.places import near
from ophis.cli.priors import fit_prior
from ophis.cli.terminal.streams import OutputError, discard_output, open_streams
from ophis.cli.web import web
from ophis.errors import InputError, OneLineFormatter, one_line, printable

app = App(
    name="ophis",
    help="Names a snake from a photo and a country; trains and evaluates the models that do it.",
    help_format="plaintext",
    group_commands=Group("Help", sort_key=99),  # after all commands
)


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
    if not install:
        print(app.generate_completion(shell=shell))
        return
    try:
        print(app.install_completion(shell=shell, add_to_startup=shell == "zsh"))
    except RuntimeError:  # of pathlib
        raise InputError("there is no home folder; set HOME, or leave --install out") from None


# In the order of `ophis --help`.
COMMANDS = {
    "Answers": (identify, near, serve, web, score),
    "Photos": (collect, split, pack),
    "Models": (train, export, quantise, combine, fit_prior, card),
    "Evaluation": (evaluate, compare, study, species_map),
    "Challenges": (submit, check_submission, read_submissions, aicrowd),
    "Demo and installation": (demo, sample, doctor, completion),
}
for _position, (_heading, _commands) in enumerate(COMMANDS.items()):
    _group = Group(_heading, sort_key=_position)
    for _number, _command in enumerate(_commands):
        app.command(_command, group=_group, sort_key=_number)

ALIASES = {"quantize": "quantise"}

# Options of earlier versions, by command, and what replaces them. Their use is an error that gives
# the new form. The table is for one release only.
RENAMED = {
    ("combine", "--crops"): "combine --tta crops",
    ("combine", "--flip"): "combine --tta flip",
    ("compare", "--photos"): "compare --manifest MANIFEST",
    ("demo", "--photos"): "demo --count NUMBER",
    ("evaluate", "--figures"): "evaluate --out FOLDER",
    ("evaluate", "--others"): "evaluate --ood-scores SCORES",
    ("evaluate", "--presence"): "evaluate --range-map MAP",
    ("evaluate", "--together"): "evaluate --ensemble",
    ("export", "--runtime"): "web BUNDLE OUT --runtime FILE",
    ("export", "--single-file"): "web BUNDLE OUT --single-file",
    ("export", "--web"): "web BUNDLE OUT",
    ("fit-prior", "--presence"): "fit-prior --range-map MAP",
    ("fit-prior", "--rules"): "fit-prior --overrides TABLE",
    ("sample", "--photos"): "sample OUT --count NUMBER",
    ("score", "--crops"): "score --tta crops",
    ("score", "--flip"): "score --tta flip",
    ("split", "--held-out"): "split --validation FILE",
    ("split", "--share"): "split --fraction FRACTION",
    ("submit", "--aicrowd"): "aicrowd BUNDLE",
}

_EXTRAS = {
    **dict.fromkeys(("matplotlib", "jinja2", "markupsafe"), "report"),
    **dict.fromkeys(
        ("torch", "torchvision", "timm", "onnx", "onnxscript", "safetensors", "tensorboard"),
        "train,demo",
    ),
    "captum": "train,demo",
    "scipy": "train,demo",
    **dict.fromkeys(("ray", "pyarrow"), "ray"),
    "huggingface_hub": "hub",
}


_DRAWING = {"compare", "demo", "evaluate", "species-map", "study"}


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with its exit status."""
    open_streams()
    # Pillow warns of odd metadata, which does not change the pixels.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    _show_warnings()
    words = sys.argv[1:] if arguments is None else arguments
    words = [STANDARD_INPUT if word == "-" else word for word in words]
    words[:1] = [ALIASES.get(word, word) for word in words[:1]]
    if words[:1] and words[0] in _DRAWING:
        _keep_no_fonts()
    try:
        status = _run(words)
        sys.stdout.flush()  # a full disk may show only here
    except OutputError as error:
        discard_output()
        # The reader of `ophis ... | head` closes its end when it has enough.
        status = 0 if isinstance(error.__cause__, BrokenPipeError) else _fail(str(error))
    sys.exit(status or 0)


def _run(words: list[str]) -> int | None:
    """Run a command; return its exit status, after a line on stderr for an error."""
    try:
        _refuse_renamed(words)
        return app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _fail(_one_line(error))
    except InputError as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        name = (error.name or "").split(".")[0]
        if name not in _EXTRAS:
            raise
        return _fail(f"{name} is not installed; pip install 'ophis[{_EXTRAS[name]}]'")
    except OSError as error:  # a full disk, a folder that cannot be written
        return _fail(_system_line(error))
    except KeyboardInterrupt:
        return 130


def _keep_no_fonts() -> None:
    """Give Matplotlib a temporary folder; its list of fonts takes 0.2 s and would stay in the home.

    A matplotlibrc of the home is not read then: figures of equal numbers are equal everywhere.
    """
    import atexit
    import shutil
    import tempfile

    if "MPLCONFIGDIR" not in os.environ:
        os.environ["MPLCONFIGDIR"] = folder = tempfile.mkdtemp(prefix="ophis-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def _refuse_renamed(words: list[str]) -> None:
    """Raise an error that gives the new form of a renamed option."""
    for word in words[1:]:
        option = word.partition("=")[0]
        if new := RENAMED.get((words[0], option)):
            raise InputError(f"`ophis {words[0]} {option}` is now `ophis {new}`")


def _show_warnings() -> None:
    """Print warnings of the library, and notes of inference, as one line each on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLineFormatter("ophis: %(message)s"))
    logger = logging.getLogger("ophis")
    logging.getLogger("ophis.inference").setLevel(logging.INFO)
    logger.handlers[:] = [handler]  # anew: stderr may be another one since the last call


def _fail(line: str) -> int:
    print(f"ophis: {printable(line)}", file=sys.stderr)
    return 2


def _system_line(error: OSError) -> str:
    text = " ".join((error.strerror or str(error) or type(error).__name__).split())
    if "temporary directory" in text:  # of tempfile
        text += "; set TMPDIR to a folder that can be written"
    return one_line(text if error.filename is None else f"{error.filename}: {text}")


def _one_line(error: CycloptsError) -> str:
    text = " ".join(str(error).split())
    return one_line(f"{text} See `ophis --help`.")
