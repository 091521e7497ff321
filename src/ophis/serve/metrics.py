"""Figures of the service, as Prometheus reads them; none says who asked, or about what."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts of requests, and how long they took.

    Only the event loop's thread writes here.
    """

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        # By route: how many were in each bucket, the last for all that took longer.
        self._buckets: dict[str, list[int]] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def count(self, method: str, route: str, *, status: int, seconds: float) -> None:
        """One request that was answered."""
        self._requests[method, route, status] += 1
        buckets = self._buckets.setdefault(route, [0] * (len(BUCKETS_SECONDS) + 1))
        buckets[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self._seconds[route] += seconds

    def text(self, others: Mapping[str, tuple[str, float]]) -> str:
        """All of them in Prometheus' text format.

        Args:
            others: further figures by name: what each is, and its value. What only grows has a
                name that ends in `_total`.
        """
        return "\n".join([*self._counts(), *self._durations(), *_others(others), ""])

    def _counts(self) -> Iterator[str]:
        yield "# HELP ophis_requests_total Requests answered."
        yield "# TYPE ophis_requests_total counter"
        for (method, route, status), number in sorted(self._requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            yield f"ophis_requests_total{{{labels}}} {number}"

    def _durations(self) -> Iterator[str]:
        name = "ophis_request_seconds"
        yield f"# HELP {name} Seconds from a request's head to the end of its answer."
        yield f"# TYPE {name} histogram"
        for route, buckets in sorted(self._buckets.items()):
            total = 0
            for limit, number in zip((*BUCKETS_SECONDS, "+Inf"), buckets, strict=True):
                total += number
                yield f'{name}_bucket{{route="{route}",le="{limit}"}} {total}'
            yield f'{name}_sum{{route="{route}"}} {self._seconds[route]:.6f}'
            yield f'{name}_count{{route="{route}"}} {total}'


def _others(others: Mapping[str, tuple[str, float]]) -> Iterator[str]:
    for name, (what, value) in others.items():
        yield f"# HELP {name} {what}"
        yield f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"
        yield f"{name} {value}"
