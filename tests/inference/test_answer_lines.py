import pytest

from ophis.decision.decision import Decision, State
from ophis.decision.verdict import Verdict
from ophis.geography.location import Place, Source
from ophis.inference.answer import SeenPhoto
from ophis.inference.answer_lines import sentences
from ophis.locales import read_sentences
from ophis.priors.effect import PriorEffect, PriorUse
from tests.support.classifiers import RULE

FOUND = Decision(State.SPECIES, "Naja naja", (0,), Verdict.MAY_BE_VENOMOUS)
SEEN = (SeenPhoto("a.jpg", "0" * 64),)
THERE = Place({"nepal": 1.0}, Source.GIVEN)


def lines_of(
    effect: PriorEffect, place: Place = THERE, decision: Decision = FOUND
) -> tuple[str, ...]:
    return sentences(
        read_sentences(),
        decision,
        place,
        effect=effect,
        photos=SEEN,
        rule=RULE,
    )[2:-1]


@pytest.mark.parametrize("use", list(PriorUse))
@pytest.mark.parametrize("overridden", [False, True])
def test_contradiction_keeps_sentences_on_the_country(use, overridden):
    plain = lines_of(PriorEffect(use))
    assert plain == ("The country, as given: Nepal.", read_sentences().text("prior", use))
    (*before, last) = lines_of(PriorEffect(use, contradicts=True, overridden=overridden))
    assert tuple(before[:2]) == plain
    assert len(before) == 2 + overridden
    assert all("prior overrides written for it" in line for line in before[2:])
    assert "Is the place right?" in last


def test_answer_states_unknown_country():
    lines = lines_of(PriorEffect(PriorUse.UNKNOWN), Place({"UNKNOWN": 1.0}, Source.GIVEN))
    assert lines[0] == "The country, as given: not known."
    assert lines[1].startswith("The country: not known")
    assert not any("weighted by the training photos from there" in line for line in lines)


def test_no_snake_answer_has_no_sentences_on_the_country():
    nothing = Decision(State.NO_SNAKE, None, (), Verdict.MAY_BE_VENOMOUS)
    assert (
        lines_of(PriorEffect(PriorUse.WEIGHED, contradicts=True, overridden=True), THERE, nothing)
        == ()
    )
