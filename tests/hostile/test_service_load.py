"""Overload of the service: refused and answered requests, their times and memory."""

import hashlib
import json
import signal
import time
from dataclasses import replace

import pytest

from ophis import load
from ophis.locales import languages
from ophis.serve import Limits
from tests.support.load_client import (
    Load,
    clients,
    percentile,
    read_responses,
    request_of,
    responses_of,
)
from tests.support.photos import photo
from tests.support.service_probe import memory_mib, phone_photos, watched, write_requests
from tests.support.service_process import service_of

pytestmark = pytest.mark.full

LIMITS = Limits()
SPARE_MIB = 64
COUNTRIES = ("India", "KE", "mex", "UNKNOWN", "")


def test_tenfold_overload_is_refused_at_once_or_answered_correctly(served, tmp_path, figure):
    seconds = 30
    requests = [request_of([each], country="India") for each in phone_photos(4)]
    folder = write_requests(requests, tmp_path / "requests")
    with service_of(served, tmp_path) as service:
        ready_mib = memory_mib(service)
        some = Load(service.port, str(folder), len(requests), seconds=seconds / 6)
        alone, full = (responses_of(replace(some, at_once=n)) for n in (1, LIMITS.workers))
        capacity = len(full) / some.seconds
        with watched(service) as seen_mib:
            load = replace(some, per_second=10 * capacity, seconds=seconds)
            responses = responses_of(load)
        assert {one.status for one in (*alone, *full)} == {200}
    admitted = [one for one in responses if one.status == 200]
    refused = [one for one in responses if one.status == 503]
    assert len(admitted) + len(refused) == len(responses)
    assert {one.retry_after for one in refused} == {"5"}
    right = {one.number % len(requests): one.digest for one in alone}
    assert len(right) == len(requests)
    assert [one for one in admitted if one.digest != right[one.number % len(requests)]] == []
    took_mib, most_mib = max(seen_mib) - ready_mib, LIMITS.memory_bytes / 2**20 + SPARE_MIB
    assert took_mib < most_mib
    now, before = ([one.seconds for one in each] for each in (admitted, alone))
    times = percentile(now, 0.95) / percentile(before, 0.95)
    ms = [1000 * one.seconds for one in refused]
    figure(
        f"{seconds} s of {load.per_second:.0f} requests a second, photos of 3 million pixels,"
        f" clients on the same two cores: {len(refused):,} refused, 95 % within"
        f" {percentile(ms, 0.95):.0f} ms, 99.9 % within {percentile(ms, 0.999):.0f} ms, the last"
        f" after {max(ms):.0f} ms; {len(admitted):,} answered, as for a single client, 95 %"
        f" within {1000 * percentile(now, 0.95):.0f} ms: {times:.1f} times the unloaded"
        f" {1000 * percentile(before, 0.95):.0f} ms; {took_mib:.0f} MB on top of the"
        f" {ready_mib:.0f} MB at rest, bound {most_mib:.0f} MB"
    )


def test_thousand_concurrent_requests_get_their_own_answers(served, tmp_path, figure):
    many = 1000
    classifier = load(served, threads=LIMITS.engine_threads)
    requests, right = [], []
    for number in range(many):
        data = photo(number, kind="JPEG" if number % 3 else "PNG")
        fields = {
            "country": COUNTRIES[number % len(COUNTRIES)],
            "language": languages()[number % len(languages())],
            "top": str(1 + number % 7),
        }
        requests.append(request_of([data], **fields))
        answer = classifier.identify(
            data,
            country=fields["country"] or None,
            language=fields["language"],
            top=int(fields["top"]),
        )
        body = json.dumps(answer.as_dict(), ensure_ascii=False, separators=(",", ":"))
        right.append(hashlib.sha256(body.encode()).hexdigest())
    assert len(set(right)) == many
    folder = write_requests(requests, tmp_path / "requests")
    at_once = LIMITS.workers + LIMITS.waiting
    with service_of(served, tmp_path) as service:
        load_of_all = Load(service.port, str(folder), many, at_once=at_once, most=many, seconds=600)
        found = responses_of(load_of_all)
    assert [one.status for one in found] == [200] * many
    mixed_up = [one.number for one in found if one.digest != right[one.number]]
    assert mixed_up == []
    figure(f"{many:,} requests, {at_once} at once: {len(mixed_up)} with another answer")


def test_stopped_service_answers_all_accepted_requests(served, tmp_path, figure):
    seconds = 10
    requests = [request_of([each]) for each in phone_photos(2)]
    folder = write_requests(requests, tmp_path / "requests")
    with service_of(served, tmp_path) as service:
        load_of_all = Load(service.port, str(folder), 2, per_second=100, seconds=seconds)
        with clients(load_of_all) as process:
            time.sleep(seconds / 2)
            stopped = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            status = service.process.wait(300)
            took = time.monotonic() - stopped
            found = read_responses(process)
    assert status == 0
    before = [one for one in found if one.started < stopped]
    assert {one.status for one in before} == {200, 503}
    in_flight = [one for one in before if one.started + one.seconds > stopped]
    assert any(one.status == 200 for one in in_flight)
    assert {one.status for one in found} <= {200, 503, 0}  # 0: connection refused
    figure(
        f"{len(in_flight)} in flight when it was stopped under load, all answered; exit status"
        f" {status} after {took:.1f} s"
    )
