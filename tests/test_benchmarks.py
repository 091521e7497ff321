"""The benchmarks' own arithmetic; what they measure is measured by running them."""

from __future__ import annotations

import pytest
from side_by_side import markdown, read_rows, row, tell, timed
from table import merged


def test_each_side_has_its_own_seconds_and_no_warm_up():
    now = [0.0]

    def work(seconds):
        def turn():
            now[0] += seconds

        return turn

    ours, theirs = timed(work(2.0), work(3.0), rounds=4, clock=lambda: now[0])
    assert ours == [2.0] * 4
    assert theirs == [3.0] * 4


def test_a_ratio_above_one_says_that_we_are_faster():
    line = row("w", "p", ([1.0, 2.0, 3.0], [4.0, 4.0, 9.0]), difference="none", reach=2)
    assert line.ratio == 2
    assert line.met
    assert line.spread == (2.5, 3.5)  # of 4, 2 and 3


@pytest.mark.parametrize(("theirs", "met"), [(1.796, True), (1.79, False)])
def test_a_reach_is_met_by_the_digits_shown(theirs, met):
    line = row("w", "p", ([1.0], [theirs]), difference="none", reach=1.8)
    assert line.met is met
    assert ("not met" in markdown([line])) is not met


def test_rows_come_back_as_they_were_told(tmp_path, capsys):
    line = row("w", "p", ([0.01], [0.02]), difference="none")
    tell([line], tmp_path / "rows.jsonl")
    tell([line], tmp_path / "rows.jsonl")
    assert read_rows(tmp_path / "rows.jsonl") == [line, line]
    assert "10 ms" in capsys.readouterr().out


def test_a_row_measured_again_replaces_the_older_one():
    old, new, other = (
        row(work, "p", ([1.0], [ratio]), difference="none")
        for work, ratio in (("w", 2.0), ("w", 3.0), ("v", 4.0))
    )
    assert merged([old, other], [new]) == [new, other]
