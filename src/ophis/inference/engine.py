"""Engines that run a network: ONNX Runtime, or OpenVINO as an option."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from threading import Timer
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnxruntime

from ophis.errors import InputError
from ophis.files.names import path_or_content
from ophis.inference.onnx_file import require_single_file

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray


RUN_SECONDS = 60.0  # of one or two photos; the largest network takes a few on a small computer


class EngineTimeoutError(InputError):
    """A network that gave no result in `RUN_SECONDS`, for example because of an endless loop."""


class EngineKind(StrEnum):
    """Names of the engines.

    OpenVINO is as fast as ONNX Runtime in float32. In bfloat16, on processors that support it, it
    is faster and rounds each number to 8 bits of precision.
    """

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"
    OPENVINO_BFLOAT16 = "openvino-bfloat16"


class Engine(Protocol):
    """A loaded network.

    Attributes:
        inputs: shapes of the inputs.
        outputs: shapes of the outputs, by name; the first dimension is the photos.
    """

    inputs: Sequence[Sequence[object]]
    outputs: Mapping[str, Sequence[object]]

    def run(
        self, pixels: NDArray[np.float32], wanted: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the outputs for [photos, 3, side, side], by name: all, or those wanted."""
        ...


class OnnxRuntime:
    """ONNX Runtime on the processor.

    A run that lasts longer than `RUN_SECONDS` is ended, between two operators.

    Args:
        model: the ONNX file.
        threads: 0 lets it choose.
    """

    def __init__(self, model: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            path_or_content(model), options, providers=["CPUExecutionProvider"]
        )
        self._model = model
        self._name = self._session.get_inputs()[0].name
        self.inputs: Sequence[Sequence[object]] = [g.shape for g in self._session.get_inputs()]
        self.outputs: Mapping[str, Sequence[object]] = {
            output.name: output.shape for output in self._session.get_outputs()
        }

    def run(
        self, pixels: NDArray[np.float32], wanted: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the outputs for [photos, 3, side, side], by name: all, or those wanted."""
        names = list(self.outputs if wanted is None else wanted)
        options = onnxruntime.RunOptions()
        options.log_severity_level = 4  # an end by `terminate` would be logged
        timer = Timer(RUN_SECONDS, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            found = map(np.asarray, self._session.run(names, {self._name: pixels}, options))
        except Exception:
            if options.terminate:
                raise EngineTimeoutError(
                    f"{self._model}: gave no result in {RUN_SECONDS:.0f} seconds; use another model"
                ) from None
            raise
        finally:
            timer.cancel()
        return dict(zip(names, found, strict=True))


class OpenVino:
    """OpenVINO on the processor.

    Args:
        model: the ONNX file.
        threads: 0 lets it choose.
        bfloat16: round to bfloat16.

    Raises:
        InputError: when the package is missing, or the processor has no bfloat16.
    """

    def __init__(self, model: Path, threads: int, *, bfloat16: bool = False) -> None:
        try:
            import openvino  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            raise InputError("openvino is not installed; pip install 'ophis[openvino]'") from None
        core = _core(openvino)
        if bfloat16 and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise InputError("this processor has no bfloat16; use the engine openvino, without it")
        settings: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._model = core.compile_model(str(model), "CPU", settings)
        self.inputs: Sequence[Sequence[object]] = [_shape(port) for port in self._model.inputs]
        self.outputs: Mapping[str, Sequence[object]] = {
            port.any_name: _shape(port) for port in self._model.outputs
        }

    def run(
        self, pixels: NDArray[np.float32], wanted: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the outputs for [photos, 3, side, side], by name: all, or those wanted."""
        found = self._model([pixels])
        # Copies, because the next call overwrites the tensors.
        return {
            port.any_name: np.array(found[port])
            for port in self._model.outputs
            if wanted is None or port.any_name in wanted
        }


@cache
def _core(openvino: ModuleType) -> Any:  # noqa: ANN401 - OpenVINO is an extra
    """Return the only core of this process, which is never freed.

    Each core installs an alternate signal stack. When two cores are freed in the order of their
    creation, the second restores the freed stack of the first (OpenVINO 2026.4), and the next
    Ctrl-C ends the process with a segmentation fault.
    """
    return openvino.Core()


def _shape(port: Any) -> list[int | None]:  # noqa: ANN401 - OpenVINO's ports have no public type
    return [None if d.is_dynamic else d.get_length() for d in port.partial_shape]


def open_engine(kind: EngineKind | str, model: Path, *, threads: int = 0) -> Engine:
    """Load a network.

    Raises:
        InputError: when there is no such engine, it is not installed, or the model keeps
            numbers in other files.
    """
    try:
        kind = EngineKind(kind)
    except ValueError:
        raise InputError(
            f"there is no engine {str(kind)!r}; choose {', '.join(EngineKind)}"
        ) from None
    require_single_file(model)
    if kind is EngineKind.ONNXRUNTIME:
        return OnnxRuntime(model, threads)
    return OpenVino(model, threads, bfloat16=kind is EngineKind.OPENVINO_BFLOAT16)
