import pytest

from benchmarks.claims import Claim, to_markdown, verdict
from benchmarks.claims import ClaimsConfig as Config


def figures(mpjpe: float) -> dict[str, float]:
    return {"mpjpe": mpjpe, "pa_mpjpe": mpjpe, "pckh": 50.0, "quaternion": 0.25, "monsters": 1.0}


BETTER = Claim("the first is better", {}, lambda rows: rows["first"]["mpjpe"] < rows["second"]["mpjpe"])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((100.0, 110.0), (120.0, 130.0), "holds"),
        ((120.0, 130.0), (100.0, 110.0), "does not hold"),
        ((100.0, 125.0), (120.0, 130.0), "not told apart from noise"),
        ((100.0, 100.0), (100.0, 100.0), "does not hold"),
    ],
)
def test_seeds_must_agree_on_a_claim(first, second, expected):
    runs = {"first": [figures(value) for value in first], "second": [figures(value) for value in second]}
    assert verdict(BETTER, runs) == expected


def test_the_table_shows_means_spreads_and_verdicts(tmp_path):
    runs = {"first": [figures(100.0), figures(110.0)]}
    text = to_markdown({"a claim": {"rows": runs, "verdict": "holds"}}, Config(mocap=tmp_path))
    assert "**a claim: holds.**" in text
    assert "| first | 105.0 (5.0) | 105.0 (5.0) | 50.0 (0.0) | 0.250 (0.000) | 1.0 (0.0) |" in text
