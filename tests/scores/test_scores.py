import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophis import InputError, Scores, SpeciesList, read_scores
from ophis.errors import PhotoFailure
from ophis.files import npz
from ophis.scores.scores import concatenate, log_probabilities, softmax
from ophis.taxonomy.spelling import plain_text
from tests.support.memory import peak_mib

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(plain_text).filter(bool)


def made(**changes) -> Scores:
    values = {
        "logits": np.array([[1.0, -np.inf, 0.5], [0.0, 2.0, 0.0]], np.float32),
        "species": SpeciesList(("a", "b", "c")),
        "photo_ids": ("x", "y"),
        "truth": np.array([0, -1]),
        "countries": ("kenya", "UNKNOWN"),
        "observations": ("x", "y"),
    }
    return Scores(**(values | changes))


@given(names=st.lists(TEXT, min_size=2, max_size=2, unique=True), reason=TEXT)
def test_written_scores_read_back_unchanged(tmp_path_factory, names, reason):
    path = tmp_path_factory.mktemp("scores") / "s.npz"
    digests = np.arange(64, dtype=np.uint8).reshape(2, 32)
    before = made(photo_ids=tuple(names), failures=(PhotoFailure("z", reason),), sha256=digests)
    after = read_scores(before.write(path))
    assert after.photo_ids == before.photo_ids
    assert after.failures == before.failures
    assert after.species == before.species
    assert after.countries == before.countries
    np.testing.assert_array_equal(after.logits, before.logits)
    np.testing.assert_array_equal(after.truth, before.truth)
    np.testing.assert_array_equal(after.sha256, digests)
    assert sorted(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"logits": np.array([[0, np.nan, 0], [0, 0, 0]])}, "'x' has a NaN"),
        ({"logits": np.array([[0, 0, 0], [0, np.inf, 0]])}, "'y' has a NaN or +inf"),
        ({"logits": np.full((2, 3), -np.inf)}, "'x'"),
        (
            {"ood_score": np.array([1.0, np.nan])},
            "'y' has an OOD score of nan; leave the photo out",
        ),
        ({"ood_score": np.array([np.inf, 1.0])}, "'x' has an OOD score of inf"),
        ({"ood_score": np.ones(3)}, "ood_score has shape (3,), not (2,)"),
        ({"sha256": np.zeros((3, 32), np.uint8)}, "shape (3, 32), not 2 x 32 bytes"),
        ({"sha256": np.zeros((2, 32))}, "sha256 is float64"),
        ({"logits": np.zeros((2, 2))}, "2 photos and 3 species"),
        ({"photo_ids": ("x", "x")}, "twice"),
        ({"truth": np.array([0, 3])}, "beyond the species list"),
        ({"countries": ("kenya",)}, "countries has 1 rows"),
    ],
)
def test_scores_reject_misaligned_or_unusable_values(changes, words):
    with pytest.raises(InputError) as error:
        made(**changes)
    assert words in str(error.value)


def test_read_scores_rejects_nan_ood_score(tmp_path):
    scores = made(ood_score=np.array([1.0, 2.0]))
    assert scores.ood_score is not None
    scores.ood_score[1] = np.nan
    path = scores.write(tmp_path / "s.npz")
    with pytest.raises(InputError, match=r"s\.npz: scores: photo 'y' has an OOD score of nan"):
        read_scores(path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_read_scores_rejects_other_files(tmp_path, content):
    path = tmp_path / "s.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"s\.npz: not a scores file"):
        read_scores(path)
    with pytest.raises(InputError, match="no such scores file"):
        read_scores(tmp_path / "none.npz")


def test_read_scores_rejects_truncated_file(tmp_path):
    whole = made().write(tmp_path / "s.npz").read_bytes()
    for length in range(0, len(whole) - 1, 97):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut.npz"):
            read_scores(tmp_path / "cut.npz")


def test_take_and_concatenate_keep_rows_aligned():
    scores = made()
    back = concatenate([scores.take(np.array([1])), scores.take(np.array([0]))])
    assert back.photo_ids == ("y", "x")
    np.testing.assert_array_equal(back.logits, scores.logits[::-1])
    with pytest.raises(
        InputError, match=r"species 2 is 'b' in the first scores and 'c' in scores 2"
    ):
        concatenate([scores, made(species=SpeciesList(("a", "c", "b")))])


def test_softmax_sums_to_one_and_survives_large_logits():
    probabilities = softmax(np.array([[1e4, 1e4 - 1, -np.inf]]))
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities[0, 2] == 0


def test_take_of_contiguous_rows_does_not_copy():
    scores = made()
    assert scores.take(scores.truth >= -1) is scores
    part = scores.take(slice(1, 2))
    assert part.photo_ids == ("y",)
    assert np.shares_memory(part.logits, scores.logits)
    assert not np.shares_memory(scores.take(np.array([1, 0])).logits, scores.logits)


def test_large_logits_are_memory_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "MAPPED_BYTES", 1)
    scores = made()
    back = read_scores(scores.write(tmp_path / "s.npz"))
    assert not back.logits.flags.writeable
    np.testing.assert_array_equal(back.logits, scores.logits)
    assert back.write(tmp_path / "t.npz").read_bytes() == (tmp_path / "s.npz").read_bytes()
    monkeypatch.setattr(npz, "MAPPED_BYTES", 1 << 40)
    assert read_scores(tmp_path / "s.npz").logits.flags.writeable


def test_nan_is_found_in_every_block(monkeypatch):
    monkeypatch.setattr("ophis.files.blocks.BLOCK_BYTES", 1)
    with pytest.raises(InputError, match="'y' has a NaN"):
        made(logits=np.array([[0, 0, 0], [0, np.nan, 0]]))


BEFORE = """
import polars  # loaded by the first table, not by the evaluation
import sys
from ophis import CountryPrior, evaluate, read_scores
from ophis.decision.calibration import reliability
from ophis.evaluation.metrics import risk_coverage
import numpy as np
"""


def test_evaluation_memory_does_not_grow_with_logits(tmp_path):
    """The bound of docs/data.md: 64 MiB and 400 bytes a photo, where the logits have 153 MiB."""
    photos, species = 50_000, 800
    logits = np.random.default_rng(0).standard_normal((photos, species), dtype=np.float32)
    ids = tuple(f"photos/photo-{n:08}.jpg" for n in range(photos))
    path = Scores(
        logits, SpeciesList(tuple(f"s {n}" for n in range(species))), ids,
        np.arange(photos) % species, ("kenya", "india") * (photos // 2), ids,
    ).write(tmp_path / "s.npz")  # fmt: skip
    work = f"""
scores = read_scores({str(path)!r})
prior = CountryPrior(scores.species, ("kenya",), np.ones((1, {species}), np.int64))
print(evaluate(scores), evaluate(scores, prior=prior))
print(risk_coverage(scores, prior=prior), reliability(scores, prior=prior))
scores.write({str(tmp_path / "again.npz")!r})
"""
    assert peak_mib(BEFORE, work) < 64 + 400 * photos / 2**20
    assert logits.nbytes > 150 * 2**20
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()


@given(
    rows=st.integers(1, 9),
    block_bytes=st.integers(1, 100),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_block_size_does_not_change_probabilities(rows, block_bytes, dtype, seed):
    logits = np.random.default_rng(seed).normal(0, 9, (rows, 5)).astype(dtype)
    logits[:, 1] = -np.inf
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    expected = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ophis.files.blocks.BLOCK_BYTES", block_bytes)
        np.testing.assert_array_equal(log_probabilities(logits), expected)
        np.testing.assert_array_equal(softmax(logits), np.exp(expected))
        np.testing.assert_array_equal(softmax(logits[0]), np.exp(expected[0]))


@pytest.mark.parametrize(("name", "kind"), [("logits", "i8"), ("truth", "f8"), ("truth", "?")])
def test_scores_file_of_other_numbers_is_refused(tmp_path, name, kind):
    arrays = {
        "format": np.array(1), "logits": np.zeros((1, 1)), "truth": np.zeros(1, np.int64),
        **{key: np.frombuffer(b'["a"]', np.uint8)
           for key in ("species", "photo_ids", "countries", "observations")},
        "failures": np.frombuffer(b"[]", np.uint8),
    }  # fmt: skip
    np.savez(tmp_path / "s.npz", **arrays)
    assert len(read_scores(tmp_path / "s.npz")) == 1
    np.savez(tmp_path / "s.npz", **(arrays | {name: arrays[name].astype(kind)}))
    with pytest.raises(InputError, match=rf"s\.npz: {name} has numbers of type"):
        read_scores(tmp_path / "s.npz")
