"""Names of the public API. A change here changes the API: list it in CHANGELOG.md."""

import ophis

NAMES = """
Answer BadPhotosError BayesPrior Bundle Calibration Classifier Collection Comparison CountryPrior
Danger Decision DecisionRule EngineKind Evaluation EvaluationResults EvaluationTable FittedPrior
Guess HiddenTestResult InputError Interval Manifest MemberResult ModelCard NoPhotoError Occurrences
Override Pack PhotoError PhotoFailure Position Prior PriorChoice RangeMap Reason Recipe Reliability
ScoredRun Scores SeenPhoto SpeciesList State Submission SubmissionCheck Verdict WebFile
aicrowd card check_submission collect combine compare doctor evaluate evaluate_files export_web
fit_prior load occurrences_of pack read_manifest read_occurrences read_prior read_range_map
read_recipe read_scored_run read_scores read_submissions reliability sample score split submit
write_comparison write_report write_species_map
LocationFit LocationPrior NearbySnakes NearbySpecies near
"""


def test_public_names_are_pinned():
    assert set(ophis.__all__) == set(NAMES.split())
    assert len(ophis.__all__) == len(set(ophis.__all__))


def test_returned_and_raised_types_are_public():
    for name in ophis.__all__:
        assert getattr(ophis, name).__name__ == name
