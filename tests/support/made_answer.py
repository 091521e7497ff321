"""Answer with fixed content, without a network."""

from ophis.decision.decision import State
from ophis.decision.verdict import Verdict
from ophis.inference.answer import Answer, Guess, SeenPhoto
from ophis.priors.effect import PriorUse


def made_answer(
    *, photos: tuple[str, ...], possible: tuple[str, ...], guesses: tuple[Guess, ...]
) -> Answer:
    """Return an answer without a name, whose lines are one word each."""
    return Answer(
        photos=tuple(SeenPhoto(name, f"{number}" * 64) for number, name in enumerate(photos)),
        failures=(),
        state=State.UNIDENTIFIED,
        name=None,
        verdict=Verdict.MAY_BE_VENOMOUS,
        evaluated=True,
        possible=possible,
        guesses=guesses,
        country="kenya",
        countries={"kenya": 1.0},
        source=None,
        prior=PriorUse.NO_COUNTRY,
        contradicts=False,
        overridden=False,
        place_records=None,
        joined=False,
        danger_guaranteed=True,
        bundle="0123456789ab",
        language="en",
        lines=("Verdict.", "State.", "Country.", "Emergency."),
    )
