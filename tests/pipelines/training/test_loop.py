"""The loop that every training shares, on a network of one number."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.pipelines.training.devices import training_device
from fitloop.pipelines.training.loop import Rhythm, Schedule, Training, run_training
from fitloop.pipelines.training.state import Average, TrainingState

RHYTHM = Rhythm(steps=12, evaluate_every=2, save_every=4)


class OneNumber(Training):
    """Goes down (w - 1)^2 from w = 3; the held-out error is how far w is from 1, or what a list says."""

    measures = watched = ("error",)

    def __init__(self, out, errors=None):
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(model.weight, 3.0)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        super().__init__(TrainingState(model, {"network": optimizer}, Average(model, 0.0), {}), out)
        self.errors, self.calls = iter(errors or ()), []
        self.poison: int | None = None
        out.mkdir(exist_ok=True)
        if (out / "last.pt").is_file():
            self.state.load(out / "last.pt")

    def gradient(self, step):
        self.calls.append(step)
        if self.poison == step:
            raise KeyboardInterrupt
        loss = (self.state.model.weight - 1.0).square().sum()
        loss = loss * math.nan if self.poison == -step else loss
        loss.backward()
        return loss.detach(), {"square": loss.detach()}

    def evaluate(self):
        return {"error": next(self.errors, float((self.state.model.weight.detach() - 1.0).abs()))}

    def write_best(self, path):
        save_file({"weight": self.state.model.weight.detach().clone()}, path)

    def run(self, rhythm=RHYTHM, rate=0.1, **options):
        return run_training(self, rhythm, Schedule(rate, rhythm.steps, flat=1.0), math.inf, **options)


def lines(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def weight(path):
    return float(load_file(path)["weight"])


def test_the_learning_rate_rises_stays_and_falls_to_nothing():
    rate = Schedule(1.0, steps=100, warmup=10, flat=0.5)
    assert rate(0) == pytest.approx(0.1)
    assert rate(9) == rate(49) == 1.0
    assert rate(75) == pytest.approx(0.5)
    assert rate(99) < 0.01
    assert {Schedule(1.0, 100, flat=1.0)(step) for step in (0, 50, 99)} == {1.0}
    assert Schedule(1.0, 100, warmup=0)(0) == 1.0


def test_start_and_every_evaluation_are_written_and_told(tmp_path, capsys):
    errors = OneNumber(tmp_path).run()
    assert [line["step"] for line in lines(tmp_path)] == [0, 2, 4, 6, 8, 10, 12]
    assert lines(tmp_path)[0]["error"] == 2.0 and lines(tmp_path)[-1]["error"] == pytest.approx(
        errors["error"], abs=1e-5
    )
    assert lines(tmp_path)[1]["square"] == pytest.approx((4.0 + 2.56) / 2), "the mean of both steps"
    assert "step 12: seconds" in capsys.readouterr().err


def test_the_best_weights_are_kept_beside_the_last(tmp_path):
    OneNumber(tmp_path, [2.0, 1.0, 1.5, 1.9, 1.8, 1.7, 1.6]).run()
    assert weight(tmp_path / "best.safetensors") == pytest.approx(1.0 + 2.0 * 0.8**2)
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert float(last["model"]["weight"]) == pytest.approx(1.0 + 2.0 * 0.8**12)
    assert last["best_step"] == 2


def test_weights_that_never_get_better_than_the_start_leave_the_start_as_the_best(tmp_path):
    OneNumber(tmp_path, [1.0, *[1.5] * 6]).run()
    assert weight(tmp_path / "best.safetensors") == 3.0


def test_training_far_above_the_start_for_three_evaluations_stops_and_keeps_the_best(tmp_path):
    training = OneNumber(tmp_path, [1.0, 0.9, 5.0, 1.0, 2.5, 2.5, 2.5])
    with pytest.raises(TrainingStopped, match=r"diverged: error .* 1.0 at the start and 2.5 after step 12, .*step 2, "):
        training.run(Rhythm(100, 2, 4))
    assert training.state.step == 12 and training.state.best_errors == {"error": 0.9}
    assert weight(tmp_path / "best.safetensors") == pytest.approx(1.0 + 2.0 * 0.8**2)


def test_a_rate_that_is_too_high_really_diverges(tmp_path):
    with pytest.raises(TrainingStopped, match="lower --learning-rate and another --out"):
        OneNumber(tmp_path).run(rate=1.5)
    assert weight(tmp_path / "best.safetensors") == 3.0


def test_a_short_training_that_ends_far_above_the_start_is_told(tmp_path):
    with pytest.raises(TrainingStopped, match="at 1 evaluations in a row"):
        OneNumber(tmp_path, [1.0, 3.0]).run(Rhythm(2, 2, 4))


def test_an_error_that_is_no_number_counts_as_far(tmp_path):
    with pytest.raises(TrainingStopped, match="nan after step 6"):
        OneNumber(tmp_path, [1.0, *[math.nan] * 6]).run()


def test_a_loss_that_is_not_finite_moves_no_weight(tmp_path):
    training = OneNumber(tmp_path)
    training.poison = -5
    with pytest.raises(TrainingStopped, match=r"batch of step 5 \(square nan\). Kept in .*: last.pt and best.safe"):
        training.run()
    assert float(training.state.model.weight.detach()) == pytest.approx(1.0 + 2.0 * 0.8**5)


def test_a_run_that_the_user_stops_goes_on_with_the_very_step(tmp_path):
    OneNumber(tmp_path / "whole").run()
    training = OneNumber(tmp_path / "stopped")
    training.poison = 7
    with pytest.raises(KeyboardInterrupt):
        training.run()
    again = OneNumber(tmp_path / "stopped")
    again.run()
    assert again.calls == [7, 8, 9, 10, 11]
    files = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "stopped")]
    assert torch.equal(files[0]["model"]["weight"], files[1]["model"]["weight"])
    assert files[0]["start_errors"] == files[1]["start_errors"] == {"error": 2.0}


def test_checkpoints_from_before_the_start_was_kept_are_read(tmp_path):
    OneNumber(tmp_path).run(Rhythm(4, 2, 4))
    tree = torch.load(tmp_path / "last.pt", weights_only=True)
    for name in ("start_errors", "last_errors", "best_step", "far"):
        del tree[name]
    torch.save(tree, tmp_path / "last.pt")
    training = OneNumber(tmp_path)
    assert training.state.start_errors == training.state.best_errors != {}
    training.run()
    assert training.calls[0] == 4


def test_curves_are_written_for_tensorboard_or_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match=r"tensorboard is not installed: pip install 'fitloop\[train\]'"):
        OneNumber(tmp_path).run(tensorboard=True)


@pytest.mark.parametrize(("name", "words"), [("gpu", "got 'gpu'"), ("cuda", "no CUDA device")])
def test_a_device_that_is_not_there_is_refused(name, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=words):
        training_device(name, None)


def test_training_ends_when_held_out_people_are_as_good_as_asked_for(tmp_path):
    bounded = Rhythm(steps=12, evaluate_every=2, save_every=4, bound=1.5)
    OneNumber(tmp_path, [3.0, 2.0, 1.5, 1.0]).run(bounded)
    assert [line["step"] for line in lines(tmp_path)] == [0, 2, 4]
    again = OneNumber(tmp_path, [9.0])
    again.run(bounded)
    assert again.calls == [], "a run that is good enough does not go on"
