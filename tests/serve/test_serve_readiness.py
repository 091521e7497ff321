"""When the service is ready, and what it says until then."""

import asyncio
import threading

import pytest

from ophis import InputError, load
from ophis.serve import Limits, create_app
from ophis.serve.readiness import Readiness, require_answers
from ophis.serve.server import LAST_SECONDS
from tests.support.photos import photo
from tests.support.service import Slow, body_of, form, get, judged_bundle, post, until


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return load(judged_bundle(tmp_path_factory.mktemp("readiness") / "bundle"))


def test_ready_only_after_it_answered_itself_and_no_more_when_it_stops(classifier):
    slow = Slow(classifier)
    app = create_app(slow)
    service = app.state.service
    data = form(photo())

    async def main() -> None:
        async with app.router.lifespan_context(app):
            await until(lambda: slow.asked == 1)
            assert service.readiness is Readiness.STARTING
            assert (await get(app, "/ready")).status == 503
            slow.go.set()
            await until(lambda: service.readiness is Readiness.READY)
            assert (await get(app, "/ready")).status == 200
            service.readiness = Readiness.STOPPING
            for reply in (await get(app, "/ready"), await post(app, [data], length=len(data))):
                assert (reply.status, reply.headers["retry-after"]) == (503, "5")
                assert "being stopped" in body_of(reply)["error"]
            assert (await get(app, "/health")).status == 200

    asyncio.run(main())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_network_without_usable_numbers_makes_no_service_ready(classifier, monkeypatch, number):
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
def test_who_asks_before_the_self_test_is_over_waits_for_it(classifier, monkeypatch, passes):
    begun, go = threading.Event(), threading.Event()

    def tested(*_: object) -> None:
        begun.set()
        assert go.wait(30)
        if not passes:
            raise InputError("the network says something else than where it was made")

    monkeypatch.setattr("ophis.serve.app.require_answers", tested)
    app, data = create_app(classifier), form(photo())

    async def main() -> None:
        async with app.router.lifespan_context(app):
            await until(begun.is_set)
            ask = asyncio.create_task(post(app, [data], length=len(data)))
            await until(lambda: app.state.service.desk.places == 1)
            await asyncio.sleep(0.1)
            assert not ask.done()
            go.set()
            assert (await ask).status == (200 if passes else 503)

    asyncio.run(main())


def test_a_mistake_in_the_self_test_makes_no_service_ready(classifier, monkeypatch, caplog):
    def broken(*_: object) -> None:
        raise KeyError("Anna")

    monkeypatch.setattr("ophis.serve.app.require_answers", broken)
    app = create_app(classifier)

    async def main() -> None:
        async with app.router.lifespan_context(app):
            await until(lambda: app.state.service.readiness is Readiness.FAILED)

    asyncio.run(main())
    assert "mistake: KeyError in test_serve_readiness.py" in caplog.text
    assert "Anna" not in caplog.text


def test_the_service_is_ended_within_30_seconds_whatever_is_in_flight():
    assert Limits().grace_seconds + LAST_SECONDS <= 25  # and some for the threads


def test_a_bundle_that_says_something_else_than_where_it_was_made_is_not_ready(
    tmp_path, monkeypatch
):
    """Its files are as its checksums have them, and what runs them is broken."""
    classifier = load(judged_bundle(tmp_path / "bundle"))
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
