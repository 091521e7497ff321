"""The command line: each verb reads its arguments, calls one public function, prints.

Tables for people go to stdout, progress and warnings to stderr. Exit status: 0 all well, 1 some
photos failed (each is listed), 2 the request itself is wrong, 130 and 143 stopped and saved.
"""

from __future__ import annotations

import os
import sys
import warnings

from cyclopts import App, CycloptsError, Group

from ophis.cli.answers import identify, score, serve
from ophis.cli.care import completion, doctor
from ophis.cli.challenges import check_submission, submit
from ophis.cli.drawn import demo, sample
from ophis.cli.figures import compare, evaluate, study
from ophis.cli.models import card, combine, export, quantise, train
from ophis.cli.options import STANDARD_INPUT
from ophis.cli.photos import collect, pack, split
from ophis.cli.priors import fit_prior
from ophis.errors import InputError

app = App(
    name="ophis",
    help="Names a snake from a photo and a country; trains and judges the models that do it.",
    help_format="plaintext",
    group_commands=Group("Help", sort_key=99),  # after all verbs
)

# As `ophis --help` lists them.
VERBS = {
    "Answers": (identify, serve, score),
    "Photos": (collect, split, pack),
    "Models": (train, export, quantise, combine, fit_prior, card),
    "Figures": (evaluate, compare, study),
    "Challenges": (submit, check_submission),
    "To try it": (demo, sample, doctor, completion),
}
for _place, (_heading, _verbs) in enumerate(VERBS.items()):
    _group = Group(_heading, sort_key=_place)
    for _number, _verb in enumerate(_verbs):
        app.command(_verb, group=_group, sort_key=_number)

_EXTRAS = {
    **dict.fromkeys(("matplotlib", "jinja2", "markupsafe"), "report"),
    **dict.fromkeys(
        ("torch", "torchvision", "timm", "onnx", "onnxscript", "safetensors", "tensorboard"),
        "train,demo",
    ),
    "captum": "train,demo",
    **dict.fromkeys(("ray", "pyarrow"), "ray"),
    "huggingface_hub": "hub",
}


def main(arguments: list[str] | None = None) -> None:
    """Run a verb and end the process with its status."""
    # Pillow warns of odd metadata that does not touch the pixels; a person cannot mend it.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    words = sys.argv[1:] if arguments is None else arguments
    words = [STANDARD_INPUT if word == "-" else word for word in words]
    try:
        status = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        status = _complain(_one_line(error))
    except InputError as error:
        status = _complain(str(error))
    except ModuleNotFoundError as error:
        name = (error.name or "").split(".")[0]
        if name not in _EXTRAS:
            raise
        status = _complain(f"{name} is not installed; pip install 'ophis[{_EXTRAS[name]}]'")
    except BrokenPipeError:  # `ophis ... | head` closed its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:  # a full disk, a folder that cannot be written
        if error.filename is None:
            raise
        status = _complain(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        status = 130
    sys.exit(status or 0)


def _complain(line: str) -> int:
    print(f"ophis: {line}", file=sys.stderr)
    return 2


def _one_line(error: CycloptsError) -> str:
    text = " ".join(str(error).split())
    return f"{text} See `ophis --help`."
