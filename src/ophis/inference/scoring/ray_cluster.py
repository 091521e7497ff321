"""Connection to a Ray cluster, or the start of one on this machine."""

from __future__ import annotations

import inspect
import logging
import os
import secrets
import socket
import time
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ophis.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Generator

LOCAL = "local"
# Only the manifest's rows pass through Ray's object store, about 100 bytes a photo.
STORE_BYTES = 256 * 2**20
# Limit of a local start. Ray's own limits of 30 to 60 seconds are too short for a busy machine.
START_SECONDS = 300
START_LIMITS = {
    "RAY_gcs_server_port_wait_time_s": START_SECONDS,
    "RAY_gcs_server_request_timeout_seconds": START_SECONDS,
    "RAY_raylet_start_wait_time_s": START_SECONDS,
    "RAY_worker_register_timeout_seconds": START_SECONDS,
    "RAY_agent_register_timeout_ms": START_SECONDS * 1000,
}


@contextmanager
def cluster(address: str) -> Generator[None]:
    """Connect to a cluster, or start one on this machine, and disconnect at the end.

    Args:
        address: "local", or the address of a cluster as `ray.init` takes it.

    Raises:
        InputError: when there is no such cluster or when it does not start.
    """
    options: dict[str, Any] = {}
    if address == LOCAL:
        # Without it Ray listens on the network. It is read when Ray is imported.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        for name, limit in START_LIMITS.items():
            os.environ.setdefault(name, str(limit))
        if not any(name.startswith("RAY_AUTH_") for name in os.environ):
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # else a file in the home folder
        options = {
            "num_cpus": os.cpu_count(),
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
        }
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        with _own_start() if address == LOCAL else nullcontext():
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"Ray address {address!r}: no such cluster: {first_line(error)}") from None
    except Exception as error:
        # Ray raises a bare Exception for a process that starts late on a busy machine.
        raise InputError(
            f"Ray address {address!r}: Ray did not start: {first_line(error)}; try again"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own_start() -> Generator[None]:
    """Let Ray wait START_SECONDS for its node, and start no process that reports its use.

    Two limits are numbers in the source of Ray that no setting changes. `Node.__init__` calls
    `get_node` repeatedly for 30 seconds. The raylet ends when its agents have not reported their
    ports after 15 seconds (ray-project/ray#65983). It does not wait for a port that is chosen
    before, nor for one that is reported as not in use: -1, which the agents report too.

    The process of the dashboard, without one, only reports usage. It asks the metadata addresses of
    three clouds for their machine even where reports are switched off.
    """
    from ray._private import services

    raylet: Any = import_module("ray._raylet")  # compiled, without types
    names = ("get_node", "start_raylet", "start_api_server")
    get_node, start_raylet, _ = originals = [getattr(services, name) for name in names]

    def wait_for_node(gcs_address: str, node_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return get_node(gcs_address, node_id)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def start_without_wait(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - those of Ray
        options["runtime_env_agent_port"] = free_port()
        given = inspect.signature(start_raylet).bind(*arguments, **options).arguments
        for name in (
            raylet.METRICS_AGENT_PORT_NAME,
            raylet.METRICS_EXPORT_PORT_NAME,
            raylet.DASHBOARD_AGENT_LISTEN_PORT_NAME,
        ):
            raylet.persist_port(given["session_dir"], given["node_id"], name, -1)
        return start_raylet(*arguments, **options)

    def start_no_dashboard(*_: object, **__: object) -> tuple[str, None]:
        return "", None

    for name, own in zip(
        names, (wait_for_node, start_without_wait, start_no_dashboard), strict=True
    ):
        setattr(services, name, own)
    try:
        yield
    finally:
        for name, original in zip(names, originals, strict=True):
            setattr(services, name, original)


def free_port() -> int:
    """Return a port of the loopback at which no process listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
