"""A page has plain words for everything that a results file may say."""

import pytest

from fitloop.fitting import Status
from fitloop.pipelines.pages import plain_words
from fitloop.refinement.gate import Reason
from fitloop.refinement.offsets import OffsetReason


@pytest.mark.parametrize("status", [*(one.name.lower() for one in Status), "not_fitted"])
def test_every_end_of_a_fit_has_its_words(status):
    assert plain_words.fit_words(status) not in ("", status, status.replace("_", " "))


@pytest.mark.parametrize("reason", sorted({one.name.lower() for kind in (Reason, OffsetReason) for one in kind}))
def test_every_verdict_has_its_words(reason):
    told = plain_words.verdict_words(reason)
    assert told == "taken" if reason == "better" else told != f"not taken: {reason.replace('_', ' ')}"


def test_what_another_version_says_is_shown_as_it_is():
    assert plain_words.fit_words("half_done") == "half done"
    assert plain_words.verdict_words("too_blue") == "not taken: too blue"
