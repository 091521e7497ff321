"""Log of a run: JSON lines and TensorBoard curves."""

import json

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from ophis.evaluation.run import _read_log
from ophis.train.run_log import RunLog, has_validation


def test_tensorboard_reads_the_curves(tmp_path):
    with RunLog(tmp_path, 0, 2) as log:
        for step in range(2):
            log.step(step, loss=0.5 * step, learning_rate=0.25, photos=8)
    (file,) = (tmp_path / "tensorboard").iterdir()
    events = list(EventFileLoader(str(file)).Load())
    assert events[0].file_version == "brain.Event:2"
    read = [(e.step, v.tag, v.tensor.float_val[0]) for e in events for v in e.summary.value]
    assert [one for one in read if one[1] != "photos_per_second"] == [
        (0, "loss", 0.0), (0, "learning_rate", 0.25), (1, "loss", 0.5), (1, "learning_rate", 0.25),
    ]  # fmt: skip


def test_unfinished_last_line_is_removed(tmp_path):
    with RunLog(tmp_path, 0, 3) as log:
        log.step(0, loss=1.0, learning_rate=0.1, photos=8)
    path = tmp_path / "log.jsonl"
    path.write_text(path.read_text() + '{"step": 1, "lo')
    with RunLog(tmp_path, 1, 3) as log:
        log.step(1, loss=0.5, learning_rate=0.1, photos=8)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [0, 1]
    table = _read_log(path)
    assert table is not None
    assert table["loss"].to_list() == [1.0, 0.5]


def test_validated_steps_of_a_log(tmp_path):
    assert not has_validation(tmp_path, 2)
    lines = [{"step": 2, "loss": 1.0}, {"step": 12, "validation_top1": 0.5}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert not has_validation(tmp_path, 2)
    assert has_validation(tmp_path, 12)
