"""A photo that ends the process that reads it: one refusal, and nothing else."""

import os
import random
import signal
import time
from collections import Counter

import httpx2
import pytest

from tests.support.photos import photo
from tests.support.service_load import service_of
from tests.support.service_people import Load, answers_of, asked, asking, request_of
from tests.support.serving import decoders, gauge, phone_photos, wait_until, write_requests

pytestmark = pytest.mark.full

SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)


def test_a_decoder_that_dies_costs_one_question_and_is_replaced(served, tmp_path, figure):
    kills = 60
    requests = [request_of([each], country="India") for each in phone_photos(4)]
    folder = write_requests(requests, tmp_path / "requests")
    chance = random.Random(0)
    with service_of(served, tmp_path) as service:
        some = Load(service.port, str(folder), len(requests), at_once=4, seconds=600)
        right = {one.number: one.digest for one in asked(Load(**{**vars(some), "most": 4}))}
        with asking(Load(**{**vars(some), "seconds": 0.3 * kills})) as people:
            for _ in range(kills):
                time.sleep(chance.uniform(0.1, 0.3))
                os.kill(chance.choice(decoders(service)), chance.choice(SIGNALS))
            found = answers_of(people)
        statuses = Counter(one.status for one in found)
        assert statuses.keys() <= {200, 422}
        assert statuses[422] <= kills
        assert [
            one for one in found
            if one.status == 200 and one.digest != right[one.number % len(requests)]
        ] == []  # fmt: skip
        again = asked(Load(**{**vars(some), "most": 8}))
        assert [one.status for one in again] == [200] * 8
        replaced = gauge(service, "ophis_decoders_replaced_total")
        assert replaced >= 1
        assert len(decoders(service)) == 2
        assert service.process.poll() is None
    figure(
        f"{kills} decoders killed while 4 asked: {statuses[200]} questions answered as before,"
        f" {statuses[422]} refused in a sentence, {replaced} replaced, the service never ended"
    )


def test_the_photo_that_ended_a_decoder_is_refused_in_a_sentence_and_others_are_answered(
    served, tmp_path
):
    url = "http://127.0.0.1:{}/identify"
    with service_of(served, tmp_path, "--workers", "1") as service:
        (decoder,) = decoders(service)
        os.kill(decoder, signal.SIGSTOP)  # as if it had much to do
        requests = [request_of([photo(n)]) for n in range(3)]
        folder = write_requests(requests, tmp_path / "requests")
        with asking(Load(service.port, str(folder), 3, at_once=3, most=3)) as people:
            gauges = ("ophis_in_progress", "ophis_queue_length")
            wait_until(lambda: sum(gauge(service, name) for name in gauges) == 3)
            os.kill(decoder, signal.SIGSEGV)
            os.kill(decoder, signal.SIGCONT)
            found = answers_of(people)
        assert sorted(one.status for one in found) == [200, 200, 422]
        assert decoders(service) != [decoder]
        os.kill(decoders(service)[0], signal.SIGSTOP)
        with httpx2.Client() as client:
            files = [("photo", photo()), ("photo", photo(1))]
            with asking(Load(service.port, str(folder), 3, at_once=1, most=1)) as people:
                wait_until(lambda: gauge(service, "ophis_in_progress") == 1)
                os.kill(decoders(service)[0], signal.SIGKILL)
                answers_of(people)
            answer = client.post(url.format(service.port), files=files, timeout=60)
        assert answer.status_code == 200
        assert gauge(service, "ophis_decoders_replaced_total") == 2
        assert "a decoder was replaced: it ended with status -11" in service.log.read_text()
