"""Photos whose decoder process ends: one error response, and no other effect."""

import os
import random
import signal
import time
from collections import Counter

import httpx2
import pytest

from tests.support.load_client import Load, clients, read_responses, request_of, responses_of
from tests.support.photos import photo
from tests.support.service_probe import decoders, gauge, phone_photos, wait_until, write_requests
from tests.support.service_process import service_of

pytestmark = pytest.mark.full

SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)


def test_killed_decoder_costs_one_request_and_is_replaced(served, tmp_path, figure):
    kills = 60
    requests = [request_of([each], country="India") for each in phone_photos(4)]
    folder = write_requests(requests, tmp_path / "requests")
    rng = random.Random(0)
    with service_of(served, tmp_path) as service:
        some = Load(service.port, str(folder), len(requests), at_once=4, seconds=600)
        right = {one.number: one.digest for one in responses_of(Load(**{**vars(some), "most": 4}))}
        with clients(Load(**{**vars(some), "seconds": 0.3 * kills})) as process:
            for _ in range(kills):
                time.sleep(rng.uniform(0.1, 0.3))
                os.kill(rng.choice(decoders(service)), rng.choice(SIGNALS))
            found = read_responses(process)
        statuses = Counter(one.status for one in found)
        assert statuses.keys() <= {200, 422}
        assert statuses[422] <= kills
        assert [
            one for one in found
            if one.status == 200 and one.digest != right[one.number % len(requests)]
        ] == []  # fmt: skip
        again = responses_of(Load(**{**vars(some), "most": 8}))
        assert [one.status for one in again] == [200] * 8
        replaced = gauge(service, "ophis_decoders_replaced_total")
        assert replaced >= 1
        assert len(decoders(service)) == 2
        assert service.process.poll() is None
    figure(
        f"{kills} decoders killed under 4 clients: {statuses[200]} requests answered as before,"
        f" {statuses[422]} refused with a message, {replaced} replaced, the service did not end"
    )


def test_photo_of_ended_decoder_is_refused_and_others_are_answered(served, tmp_path):
    url = "http://127.0.0.1:{}/identify"
    with service_of(served, tmp_path, "--workers", "1") as service:
        (decoder,) = decoders(service)
        os.kill(decoder, signal.SIGSTOP)  # a busy decoder
        requests = [request_of([photo(n)]) for n in range(3)]
        folder = write_requests(requests, tmp_path / "requests")
        with clients(Load(service.port, str(folder), 3, at_once=3, most=3)) as process:
            gauges = ("ophis_in_progress", "ophis_queue_length")
            wait_until(lambda: sum(gauge(service, name) for name in gauges) == 3)
            os.kill(decoder, signal.SIGSEGV)
            os.kill(decoder, signal.SIGCONT)
            found = read_responses(process)
        assert sorted(one.status for one in found) == [200, 200, 422]
        assert decoders(service) != [decoder]
        os.kill(decoders(service)[0], signal.SIGSTOP)
        with httpx2.Client() as client:
            files = [("photo", photo()), ("photo", photo(1))]
            with clients(Load(service.port, str(folder), 3, at_once=1, most=1)) as process:
                wait_until(lambda: gauge(service, "ophis_in_progress") == 1)
                os.kill(decoders(service)[0], signal.SIGKILL)
                read_responses(process)
            answer = client.post(url.format(service.port), files=files, timeout=60)
        assert answer.status_code == 200
        assert gauge(service, "ophis_decoders_replaced_total") == 2
        assert "a decoder was replaced: it ended with status -11" in service.log.read_text()
