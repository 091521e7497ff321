"""Ways to take one optimiser step: the product's, and those that it could take."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn import functional

from ophis.train.batches import mix, mixup_partners, mixup_share
from ophis.train.gradient import accumulate
from ophis.train.learner import create_optimiser
from ophis.train.networks.fused_norm import fused_norms, require_fused_norms
from ophis.train.networks.standardisation import StandardisedLayer, convolve_with, standardised
from ophis.train.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from gpu_work import Work
    from torch import nn

    from ophis.train.batches import MicroBatch

RATE = 1e-4  # real steps, too small to leave the range of numbers with random weights


class Step(Protocol):
    """One optimiser step in two halves, so that the gradient can be looked at between them."""

    model: nn.Module

    def accumulate(self) -> torch.Tensor | float:
        """Leave the step's mean gradient in the model; its mean loss."""
        ...

    def update(self) -> None:
        """Change the weights."""
        ...


@dataclass(frozen=True)
class Way:
    """How a step is taken.

    Attributes:
        name: of the row.
        kind: "product" (the loop of `ophis.train`), "eager", "captured" (one CUDA graph a piece)
            or "compiled".
        precision: "float32", "tf32", or "bfloat16" by autocast.
        last: channels last.
        once: kernels standardised once a step.
        fused: group norm and ReLU as one kernel.
        mode: of torch.compile.
    """

    name: str
    kind: str
    precision: str = "bfloat16"
    last: bool = True
    once: bool = True
    fused: bool = False
    mode: str = "default"

    def begin(self, work: Work) -> Step:
        """A step that can be taken again and again."""
        if self.fused:
            require_fused_norms(work.device)
        kinds = {"product": Product, "eager": Eager, "captured": Captured, "compiled": Compiled}
        return kinds[self.kind](self, work)


REFERENCE = Way("float32 eager", "eager", "float32", last=False, once=False)
WAYS = (
    Way("eager, contiguous", "eager", last=False, once=False),
    Way("ophis train", "product"),
    Way("ophis train, fused", "product", fused=True),
    Way("CUDA graph", "captured"),
    Way("fused, CUDA graph", "captured", fused=True),
    Way("compiled", "compiled", once=False),
    Way("compiled, kernels once", "compiled"),
    Way("compiled, reduce-overhead", "compiled", mode="reduce-overhead"),
    Way("eager, channels last", "eager", once=False),
    Way("TF32 eager", "eager", "tf32", last=False, once=False),
    REFERENCE,
    Way("compiled, max-autotune", "compiled", mode="max-autotune"),
)


class Eager:
    """Operation by operation."""

    def __init__(self, way: Way, work: Work) -> None:
        self.way, self.work = way, work
        self.layout = torch.channels_last if way.last else torch.contiguous_format
        self.model = work.model().to(work.device).to(memory_format=self.layout).train()
        self.optimiser = create_optimiser(work.recipe, list(self.model.parameters()))
        for group in self.optimiser.param_groups:
            group["lr"] = RATE
        self.filters = Filters(self.model) if way.once else None
        self._held = ExitStack()
        if way.fused:
            self._held.enter_context(fused_norms(self.model))
        self.share = mixup_share(work.recipe, work.step)
        self.partners = [
            mixup_partners(work.recipe, batch).to(work.device) for batch in work.batches
        ]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.model(pixels)

    def loss(
        self, pixels: torch.Tensor, truth: torch.Tensor, partners: torch.Tensor
    ) -> torch.Tensor:
        """The product's `piece_loss`, without reading anything from the program."""
        half = torch.bfloat16 if self.way.precision == "bfloat16" else None
        with (
            precision(self.way.precision),
            torch.autocast(
                self.work.device.type, half, enabled=half is not None, cache_enabled=False
            ),
        ):
            mixed = mix(pixels.contiguous(memory_format=self.layout), self.share, partners)
            logits = self.forward(mixed).float()
        own = functional.cross_entropy(logits, truth)
        other = functional.cross_entropy(logits, truth[partners])
        return self.share * own + (1 - self.share) * other

    def accumulate(self) -> torch.Tensor:
        """See `Step`."""
        self.clear()
        total = torch.zeros((), device=self.work.device)
        for batch, partners in zip(self.work.batches, self.partners, strict=True):
            total += self.piece(batch, partners) / self.work.pieces
        if self.filters:
            self.filters.push()
        return total

    def clear(self) -> None:
        """Forget the gradients of the step before."""
        self.optimiser.zero_grad(set_to_none=True)
        if self.filters:
            self.filters.renew()

    def piece(self, batch: MicroBatch, partners: torch.Tensor) -> torch.Tensor:
        """Add a piece's gradient."""
        with precision(self.way.precision):
            loss = self.loss(batch.pixels, batch.truth, partners)
            (loss / self.work.pieces).backward()
        return loss.detach()

    def update(self) -> None:
        """See `Step`."""
        self.optimiser.step()


class Product(Eager):
    """`ophis.train.gradient.accumulate` itself."""

    def __init__(self, way: Way, work: Work) -> None:
        super().__init__(way, work)
        if self.filters:
            self.filters.leave()  # it has its own
            self.filters = None
        self.processes = Processes(work.device)

    def accumulate(self) -> float:  # ty: ignore[incompatible-method-override] # the loss is read here
        """See `Step`."""
        self.clear()
        pieces: Iterator[MicroBatch] = iter(self.work.batches)
        return accumulate(self.model, pieces, self.work.recipe, self.processes, torch.bfloat16)


class Compiled(Eager):
    """Through torch.compile."""

    def __init__(self, way: Way, work: Work) -> None:
        super().__init__(way, work)
        self.forward = torch.compile(self.model, mode=way.mode)

    def piece(self, batch: MicroBatch, partners: torch.Tensor) -> torch.Tensor:
        """Add a piece's gradient; what the graphs of the last one made is free again."""
        torch.compiler.cudagraph_mark_step_begin()
        return super().piece(batch, partners)


class Captured(Eager):
    """A piece's forward and backward pass as one CUDA graph: nothing is launched one by one."""

    def __init__(self, way: Way, work: Work) -> None:
        super().__init__(way, work)
        first = work.batches[0]
        self.given = [t.clone() for t in (first.pixels, first.truth, self.partners[0])]
        self.total = torch.zeros((), device=work.device)
        stream = torch.cuda.Stream(work.device)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # outside the graph first: kernels are chosen there
            for _ in range(3):
                self.capture()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=stream):
            self.capture()

    def capture(self) -> None:
        """What the graph holds."""
        with precision(self.way.precision):
            loss = self.loss(*self.given)
            (loss / self.work.pieces).backward()
        self.total += loss.detach()

    def clear(self) -> None:
        """Gradients are set to zero where they lie, because the graph adds to them there."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        torch._foreach_zero_([*gradients, self.total])  # as optimisers do it: one launch for all
        if self.filters:
            self.filters.renew()

    def piece(self, batch: MicroBatch, partners: torch.Tensor) -> torch.Tensor:
        """Add a piece's gradient."""
        for mine, now in zip(self.given, (batch.pixels, batch.truth, partners), strict=True):
            mine.copy_(now)
        before = self.total.clone()
        self.graph.replay()
        return self.total - before


class Filters:
    """Kernels standardised once a step, kept at one place in memory.

    `standardised_once` makes new tensors each step; a captured or compiled network wants the old.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = [m for m in model.modules() if isinstance(m, StandardisedLayer)]
        self._leaves = [standardised(m).detach().requires_grad_() for m in self._layers]
        for layer, leaf in zip(self._layers, self._leaves, strict=True):
            layer.forward = partial(convolve_with, layer, leaf)

    @torch.no_grad()
    def renew(self) -> None:
        """Of the weights as they are now; without gradients."""
        for layer, leaf in zip(self._layers, self._leaves, strict=True):
            leaf.copy_(standardised(layer))
            if leaf.grad is not None:
                leaf.grad.zero_()

    def push(self) -> None:
        """Hand the gradients of the kernels on to the weights."""
        torch.autograd.backward(
            [standardised(layer) for layer in self._layers], [leaf.grad for leaf in self._leaves]
        )

    def leave(self) -> None:
        """The layers standardise again by themselves."""
        for layer in self._layers:
            del layer.forward


@contextmanager
def precision(name: str) -> Generator[None]:
    """How a GPU convolves float32 numbers within it: exactly for "float32", else as TF32.

    TF32 is torch's default for convolutions, and these networks multiply no other matrices.
    """
    cudnn: Any = torch.backends.cudnn  # its parts are made while it is imported
    before = cudnn.conv.fp32_precision
    if name == "float32":
        cudnn.conv.fp32_precision = "ieee"
    try:
        yield
    finally:
        cudnn.conv.fp32_precision = before
