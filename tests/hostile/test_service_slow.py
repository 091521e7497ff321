"""Slow uploads and idle connections beside other clients of one address."""

import resource

import pytest

from tests.support.attackers import attack_slowly, attacked
from tests.support.load_client import Load, percentile, request_of, responses_of
from tests.support.service_probe import phone_photos, write_requests
from tests.support.service_process import service_of

pytestmark = pytest.mark.full


@pytest.mark.parametrize("descriptors", [1024, 192])
def test_slow_clients_stop_no_other_client(served, tmp_path, figure, descriptors):
    seconds = 60 if descriptors == 1024 else 15
    requests = [request_of([each], country="India") for each in phone_photos(4)]
    folder = write_requests(requests, tmp_path / "requests")
    with service_of(served, tmp_path) as service:
        resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        load = Load(service.port, str(folder), len(requests), at_once=1, seconds=10)
        alone = [one.seconds for one in responses_of(load)]
        with attacked(attack_slowly, service.port):
            found = responses_of(Load(service.port, str(folder), 4, per_second=2, seconds=seconds))
        log = service.log.read_text()
    limit = 2 * percentile(alone, 0.95)
    good = [one for one in found if one.status == 200 and one.seconds <= limit]
    answered = [one for one in found if one.status == 200]
    assert "Traceback" not in log
    assert "defect" not in log
    figure(
        f"{seconds} s, {descriptors} descriptors, 52 slow uploads and 600 idle connections of one"
        f" address: {len(answered)} of {len(found)} others answered, {len(good)} within twice the"
        f" unloaded {1000 * percentile(alone, 0.95):.0f} ms"
    )
    assert len(answered) >= 0.95 * len(found)
