"""Bundles of the Hugging Face Hub: `hf://owner/name`, and `hf://owner/name@revision`.

Only the files that inference needs are downloaded, all from one commit, and the checksums of
`bundle.json` are verified. No photo and no answer leaves the machine.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.files.content import reason_of
from ophis.inference.bundles.index import INDEX, files_for_answers

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEME = "hf://"
_FIX = "set HF_HOME to a folder that can be written"
# As the Hub has them: https://huggingface.co/docs/huggingface_hub (validate_repo_id).
_NAME = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([^@\s]+))?")


def fetch(name: str) -> Path:
    """Return the folder of a bundle of the Hub; download it unless it is cached.

    Args:
        name: hf://owner/name, or with a branch, tag or commit hf://owner/name@revision.

    Raises:
        InputError: when the name has another form, huggingface_hub is not installed, there is no
            such repository, revision or file, or it cannot be reached and no copy is kept here.
    """
    found = _NAME.fullmatch(name)
    if not found:
        raise InputError(f"{name}: should be hf://owner/name or hf://owner/name@revision")
    repository, revision = found.groups()
    try:
        from huggingface_hub import hf_hub_download, logging  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise InputError(f"{name}: pip install 'ophis[hub]' to fetch bundles") from None

    logging.set_verbosity_error()  # it logs each retry

    def get(file: str, commit: str | None) -> Path:
        return Path(hf_hub_download(repository, file, revision=commit, library_name="ophis"))

    index = _fetched(name, INDEX, lambda: get(INDEX, revision))
    # The folder is called by the commit; all else is of the same one, whatever is pushed meanwhile.
    _fetch_rest(name, index.parent, lambda file: get(file, index.parent.name), "")
    return index.parent


def _fetch_rest(name: str, snapshot: Path, get: Callable[[str], Path], place: str) -> None:
    """Download the files of a bundle, and of its members, from a folder of the repository."""
    files, members = files_for_answers(snapshot / place)
    for file in files:
        _fetched(name, place + file, lambda file=file: get(place + file))
    for member in () if place else members:  # a member has none: `read_bundle` refuses it
        inner = f"{member}/"
        _fetched(name, inner + INDEX, lambda inner=inner: get(inner + INDEX))
        _fetch_rest(name, snapshot, get, inner)


def _fetched(name: str, file: str, get: Callable[[], Path]) -> Path:
    """Download a file of the repository, or raise an error of one line."""
    from huggingface_hub import errors  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    try:
        return get()
    except errors.GatedRepoError:
        why = "its owner lets in only whom they know; ask there, then `hf auth login`"
    except errors.RepositoryNotFoundError:
        why = "there is no such repository, or it is private (`hf auth login`); check the name"
    except errors.RevisionNotFoundError:
        why = "there is no such revision; leave out what follows the @"
    except errors.RemoteEntryNotFoundError:
        what = "it is no bundle of ophis: " if file == INDEX else ""
        why = f"{what}{file} is not there"
    except errors.LocalEntryNotFoundError:
        why = f"the Hub cannot be reached, and {file} is not kept here; try again with a network"
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no status"
        why = f"the Hub answers {status} for {file}; try again later"
    except OSError as error:  # a full disk, a network that ends in between
        why = f"{file} could not be fetched: {error.strerror or type(error).__name__}"
        if error.filename:
            why += f": {error.filename}; {_FIX}"
    except RuntimeError:  # of pathlib
        why = f"there is no home folder; {_FIX}"
    except Exception as error:  # of names that the Hub's client refuses, and of its answers
        why = f"{file} could not be fetched: {reason_of(error)}; check the name"
    raise InputError(f"{name}: {why}")
