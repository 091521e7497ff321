"""Prometheus metrics of the service, without data of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ophis.serve.admission import AdmissionControl
    from ophis.serve.decoders import Decoders

__all__ = ["CONTENT_TYPE", "Metrics"]

BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

disable_created_metrics()  # `..._created` series double the output and tell nothing


class Metrics:
    """Request counts, request durations and the state of the queue, in a registry per app."""

    def __init__(self, admission: AdmissionControl, decoders: Decoders) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "ophis_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "ophis_request_seconds",
            "Seconds from the head of a request to the end of its response.",
            ("route",),
            buckets=BUCKETS_SECONDS,
            registry=registry,
        )
        for name, description, value in (
            ("ophis_queue_length", "Requests waiting for a thread.", lambda: admission.waiting),
            ("ophis_in_progress", "Requests in a thread.", lambda: admission.in_progress),
            (
                "ophis_places_taken",
                "Requests being received, waiting or in a thread.",
                lambda: admission.admitted,
            ),
        ):
            Gauge(name, description, registry=registry).set_function(value)
        registry.register(_DecoderCollector(decoders))

    def count(self, method: str, route: str, *, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _DecoderCollector(Collector):
    def __init__(self, decoders: Decoders) -> None:
        self._decoders = decoders

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            "ophis_decoders_replaced",
            "Decoder processes that died or exceeded their time limit.",
            value=self._decoders.replaced,
        )
