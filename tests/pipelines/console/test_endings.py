"""Every end of a training command is a sentence and an exit code."""

import re
from pathlib import Path

import pytest

from fitloop.pipelines.console.endings import TrainingStopped, end_well, warn


def raising(error: BaseException):
    def work() -> str:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("steps is 0"), 2, "steps is 0"),
        (FileNotFoundError("no such file"), 2, "no such file"),
        (ImportError("needs smplx"), 2, "needs smplx"),
        (TrainingStopped("the loss of step 3 is not finite"), 1, "step 3"),
        (OSError(28, "No space left on device"), 1, "written: No space left on device.*Make room"),
        (FileNotFoundError(2, "No such file or directory", "/proc/x"), 1, "written: /proc/x: No such file.*--out"),
        (KeyboardInterrupt(), 130, "before the first checkpoint; the same command begins again"),
    ],
)
def test_what_goes_wrong_is_told(error, code, words, capsys):
    assert end_well(raising(error), Path("here")) == code
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    assert re.search(words, told.err)


def test_who_stops_a_training_hears_that_it_goes_on_from_its_checkpoint(tmp_path, capsys):
    (tmp_path / "last.pt").touch()
    assert end_well(raising(KeyboardInterrupt()), tmp_path) == 130
    assert f"goes on from the checkpoint in {tmp_path}" in capsys.readouterr().err


def test_what_went_well_is_told_by_the_process_that_speaks(capsys):
    assert end_well(lambda: "Done.", Path("here")) == 0
    assert end_well(lambda: "", Path("here")) == 0
    assert capsys.readouterr().out == "Done.\n"


def test_a_mistake_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        end_well(raising(ZeroDivisionError()), Path("here"))


def test_a_warning_is_told_on_stderr_and_nothing_stops(capsys):
    assert warn("a.jpg is left out.") is None
    assert capsys.readouterr().err == "fitloop: a.jpg is left out.\n"
