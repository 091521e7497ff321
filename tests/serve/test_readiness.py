"""Readiness and self-test of the service."""

import asyncio
import threading

import pytest

from ophis import InputError, SpeciesList, load
from ophis.inference.engine import EngineTimeoutError
from ophis.serve import Limits, create_app
from ophis.serve.readiness import Readiness, require_answers
from ophis.serve.server import SHUTDOWN_SECONDS
from tests.support.made_bundle import write_endless_bundle
from tests.support.photos import photo
from tests.support.service import (
    Slow,
    body_of,
    evaluated_bundle,
    form,
    get,
    post,
    ready_app,
    until,
)

SPECIES = SpeciesList(("Naja naja", "Python regius"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load(evaluated_bundle(tmp_path_factory.mktemp("readiness") / "bundle"))


def test_service_is_ready_between_self_test_and_shutdown(classifier):
    slow = Slow(classifier)
    app = create_app(slow)
    service = app.state.service
    data = form(photo())

    async def main() -> None:
        async with app.router.lifespan_context(app):
            await until(lambda: slow.requests == 1)
            assert service.readiness is Readiness.STARTING
            assert (await get(app, "/ready")).status == 503
            slow.go.set()
            await until(lambda: service.readiness is Readiness.READY)
            assert (await get(app, "/ready")).status == 200
            service.readiness = Readiness.STOPPING
            for reply in (await get(app, "/ready"), await post(app, [data], length=len(data))):
                assert (reply.status, reply.headers["retry-after"]) == (503, "5")
                assert "is stopping" in body_of(reply)["error"]
            assert (await get(app, "/health")).status == 200

    asyncio.run(main())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_nonfinite_logits_fail_the_self_test(classifier, monkeypatch, number):
    (network,) = classifier.networks
    run = network._engine.run

    def broken(*given):
        found = run(*given)
        found["logits"][:, 0] = number
        return found

    monkeypatch.setattr(network._engine, "run", broken)
    with pytest.raises(InputError):
        require_answers(classifier)
    app = create_app(classifier)
    data = form(photo())

    async def main() -> None:
        async with app.router.lifespan_context(app):
            await until(lambda: app.state.service.readiness is Readiness.FAILED)
            for reply in (await get(app, "/ready"), await post(app, [data], length=len(data))):
                assert reply.status == 503
                assert "no usable numbers" in body_of(reply)["error"]

    asyncio.run(main())


@pytest.mark.parametrize("passes", [True, False])
def test_request_waits_for_the_self_test(classifier, monkeypatch, passes):
    begun, go = threading.Event(), threading.Event()

    def tested(*_: object) -> None:
        begun.set()
        assert go.wait(300)
        if not passes:
            raise InputError("the logits differ from the recorded ones")

    monkeypatch.setattr("ophis.serve.app.require_answers", tested)
    app, data = create_app(classifier), form(photo())

    async def main() -> None:
        async with app.router.lifespan_context(app):
            await until(begun.is_set)
            request = asyncio.create_task(post(app, [data], length=len(data)))
            await until(lambda: app.state.service.admission.admitted == 1)
            await asyncio.sleep(0.1)
            assert not request.done()
            go.set()
            assert (await request).status == (200 if passes else 503)

    asyncio.run(main())


def test_defect_in_the_self_test_fails_it(classifier, monkeypatch, caplog):
    def broken(*_: object) -> None:
        raise KeyError("Anna")

    monkeypatch.setattr("ophis.serve.app.require_answers", broken)
    app = create_app(classifier)

    async def main() -> None:
        async with app.router.lifespan_context(app):
            await until(lambda: app.state.service.readiness is Readiness.FAILED)

    asyncio.run(main())
    assert "defect: KeyError in test_readiness.py" in caplog.text
    assert "Anna" not in caplog.text


def test_shutdown_takes_at_most_25_seconds():
    assert Limits().grace_seconds + SHUTDOWN_SECONDS <= 25  # the rest is for the threads


def test_endless_network_fails_the_self_test(tmp_path, monkeypatch):
    monkeypatch.setattr("ophis.inference.engine.RUN_SECONDS", 0.2)
    classifier = load(write_endless_bundle(tmp_path / "bundle", SPECIES))
    with pytest.raises(EngineTimeoutError, match=r"model\.onnx: gave no result in"):
        require_answers(classifier)


def test_service_whose_network_does_not_return_is_no_longer_ready(tmp_path, monkeypatch):
    monkeypatch.setattr("ophis.inference.engine.RUN_SECONDS", 0.2)
    app = ready_app(load(write_endless_bundle(tmp_path / "bundle", SPECIES)))
    data = form(photo())

    async def main() -> None:
        for reply in (await post(app, [data], length=len(data)), await get(app, "/ready")):
            assert reply.status == 503
            assert "no usable numbers" in body_of(reply)["error"]

    asyncio.run(main())


def test_other_logits_than_recorded_fail_the_self_test(tmp_path, monkeypatch):
    """The checksums of the files agree, but the engine is broken."""
    classifier = load(evaluated_bundle(tmp_path / "bundle"))
    (network,) = classifier.networks
    run = network._engine.run
    monkeypatch.setattr(
        network._engine, "run", lambda *given: {"logits": run(*given)["logits"] * 1.001}
    )
    app = create_app(classifier)

    async def main() -> None:
        async with app.router.lifespan_context(app):
            await until(lambda: app.state.service.readiness is not Readiness.STARTING)
            assert (await get(app, "/ready")).status == 503

    asyncio.run(main())
    assert app.state.service.readiness is Readiness.FAILED
