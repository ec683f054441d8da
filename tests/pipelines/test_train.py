import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toy import stick_body

import fitloop.pipelines.train as program
from fitloop.data.keypoint_samples import KeypointSampling
from fitloop.data.mocap import load_mocap
from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.pipelines.console.options import load_config
from fitloop.pipelines.lessons.keypoint_batches import KeypointBatches, vertex_errors
from fitloop.pipelines.train import main, train
from fitloop.pipelines.training.loop import descend
from fitloop.pipelines.training.regressor_config import TrainConfig
from fitloop.pipelines.training.state import Average
from fitloop.regressor import PRESETS, HeadConfig, HMRConfig, HMROutput, LossConfig, load_weights
from fitloop.regressor.hmr import HMR
from fitloop.regressor.keypoint_encoder import KeypointEncoder
from fitloop.regressor.losses import truth_params

SMALL = HMRConfig(width=24, blocks=1, head=HeadConfig(2, 24, 0.1))


@pytest.fixture(autouse=True)
def _stick_figure(monkeypatch):
    monkeypatch.setattr(program, "load_body", lambda source: stick_body())


@pytest.fixture
def mocap(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    frames, clips = 200, 10
    pose = (0.2 * rng.standard_normal((frames, 22, 3))).astype(np.float16)
    pose[:, 0] = 0
    starts = np.arange(clips) * (frames // clips)
    path = tmp_path / "cmu_poses.npz"
    np.savez(
        path,
        pose=pose,
        clip_start=starts,
        clip_len=np.full(clips, frames // clips),
        clip_id=np.array([f"clip {n}" for n in range(clips)]),
        clip_subject=np.array([f"Subject #{n}" for n in range(clips)]),
        clip_source=np.array(["toy"] * clips),
        clip_quality=np.array(["asf"] * clips),
        distinct=np.ones(frames, bool),
    )
    return path


@pytest.fixture
def config(tmp_path, mocap) -> TrainConfig:
    return TrainConfig(
        mocap=mocap,
        out=tmp_path / "run",
        model=SMALL,
        steps=6,
        batch_size=16,
        warmup=2,
        evaluate_every=3,
        evaluate_people=32,
        save_every=2,
        precision="float32",
    )


def metrics(config: TrainConfig) -> list[dict]:
    lines = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def test_training_makes_held_out_people_better(config):
    config = replace(config, steps=40, batch_size=48, evaluate_every=40, learning_rate=3e-3)
    errors = train(replace(config, steps=1, evaluate_every=1, out=config.out.with_name("one")))
    assert train(config)["mpjpe"] < 0.8 * errors["mpjpe"]


def test_a_run_leaves_weights_metrics_and_its_config(config):
    errors = train(config)
    assert load_weights(config.out / "best.safetensors").config == SMALL
    assert metrics(config)[-1]["step"] == 6
    assert min(line["mpjpe"] for line in metrics(config)) == pytest.approx(errors["mpjpe"], abs=1e-3)
    assert load_config(config.out / "config.yaml", TrainConfig) == config


def test_a_network_that_says_how_sure_it_is_is_calibrated_on_the_people_kept_for_testing(config):
    told = replace(SMALL, head=replace(SMALL.head, uncertainty=8))
    train(replace(config, model=told, loss=PRESETS["keypoints"]))
    spread = load_weights(config.out / "best.safetensors").model.head.spread
    assert spread is not None and bool((spread.temperature != 0).all())
    assert "uncertainty" in json.loads((config.out / "metrics.jsonl").read_text().splitlines()[-1])
    last = torch.load(config.out / "last.pt", weights_only=True)["model"]
    assert bool((last["head.spread.temperature"] == 0).all())


def test_a_network_whose_answers_stay_learns_how_sure_it_is(config):
    silent = replace(config, out=config.out / "first")
    train(silent)
    start = str(silent.out / "best.safetensors")
    told = replace(SMALL, head=replace(SMALL.head, uncertainty=8))
    second = replace(config, model=told, loss=PRESETS["keypoints"], start=start, start_rate=0.0, learning_rate=1e-2)
    train(second)
    before, after = (load_file(folder / "best.safetensors") for folder in (silent.out, second.out))
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    errors = [json.loads(line)["surprise"] for line in (second.out / "metrics.jsonl").read_text().splitlines()]
    assert min(errors[1:]) < errors[0]


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(config, monkeypatch):
    train(config)
    broken = replace(config, out=config.out.with_name("broken"))
    learn = program.Criterion.__call__

    def power_cut(*given):
        power_cut.calls += 1
        if power_cut.calls == 6:
            raise SystemError
        return learn(*given)

    power_cut.calls = 0
    monkeypatch.setattr(program.Criterion, "__call__", power_cut)
    with pytest.raises(SystemError):
        train(broken)
    monkeypatch.setattr(program.Criterion, "__call__", learn)
    train(broken)
    whole, mended = (torch.load(c.out / "last.pt", weights_only=True) for c in (config, broken))
    for name, tensor in whole["model"].items():
        assert torch.equal(mended["model"][name], tensor)
    assert metrics(config)[-1]["mpjpe"] == metrics(broken)[-1]["mpjpe"]
    first, second = (load_file(c.out / "best.safetensors") for c in (config, broken))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_weights(config, monkeypatch, capsys):
    loss = program.Criterion.__call__

    def poisoned(self, output, view, truth):
        losses = loss(self, output, view, truth)
        poisoned.calls += 1
        return {**losses, "pose": losses["pose"] * torch.nan} if poisoned.calls == 5 else losses

    poisoned.calls = 0
    monkeypatch.setattr(program.Criterion, "__call__", poisoned)
    with pytest.raises(TrainingStopped, match=r"not finite in the batch of step 4 \(.*pose nan.*last.pt and best"):
        train(config)
    saved = torch.load(config.out / "last.pt", weights_only=True)
    assert saved["step"] == 4
    assert all(bool(tensor.isfinite().all()) for tensor in saved["model"].values())


def test_a_full_disk_keeps_the_older_checkpoint(config, monkeypatch):
    train(replace(config, steps=2))
    before = (config.out / "last.pt").read_bytes()

    def full_disk(tree, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fitloop.pipelines.training.state.torch.save", full_disk)
    with pytest.raises(TrainingStopped, match="step 4 could not be written .*No space left.*The older .* is kept"):
        train(config)
    assert (config.out / "last.pt").read_bytes() == before
    assert not [file for file in config.out.iterdir() if file.name.startswith(".writing")]


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(config, monkeypatch, capsys):
    def full(config, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(program, "save_config", full)
    assert main(["--mocap", str(config.mocap), "--out", str(config.out), "--batch-size", "4"]) == 1
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": "keypoints", "model": HMRConfig("resnet18")}, "start is for the encoders 'keypoints' and 'proxy'"),
        ({"detected": Path("runs"), "detected_share": 0.0}, r"detected_share in \(0, 1\]"),
        ({"start_rate": -1.0}, "start_rate must not be negative"),
        ({"silhouette_people": 0}, "silhouette_people must be at least 1"),
        ({"model": HMRConfig("proxy")}, "learns from photos: give images.assets"),
    ],
)
def test_options_that_do_not_go_together_are_refused(config, changes, words):
    with pytest.raises(ValueError, match=words):
        replace(config, **changes)


def test_training_goes_on_from_other_weights(config):
    first = train(config)
    assert first
    later = replace(config, out=config.out / "later", start=str(config.out / "best.safetensors"), learning_rate=1e-9)
    train(replace(later, steps=1, average=0.0))
    old, new = (load_weights(folder / "best.safetensors").model.state_dict() for folder in (config.out, later.out))
    for name, tensor in old.items():
        torch.testing.assert_close(new[name], tensor, atol=2e-3, rtol=1e-2)


def test_training_stops_early_when_held_out_people_get_no_better(config, monkeypatch):
    worse = iter(range(100, 200))
    monkeypatch.setattr(program, "joint_errors", lambda *given: {"mpjpe": float(next(worse)), "pa_mpjpe": 1.0})
    errors = train(replace(config, steps=40, evaluate_every=2, patience=3))
    assert errors["mpjpe"] == 100.0
    assert metrics(config)[-1]["step"] == 6


def test_training_stops_early_at_a_bound_of_the_held_out_error(config, monkeypatch):
    better = iter([100.0, 90.0, 80.0, 70.0])
    monkeypatch.setattr(program, "joint_errors", lambda *given: {"mpjpe": next(better), "pa_mpjpe": 1.0})
    assert train(replace(config, steps=40, evaluate_every=2, stop_at=80.0))["mpjpe"] == 80.0
    assert metrics(config)[-1]["step"] == 4


def test_the_best_weights_are_those_of_the_score_asked_for(config, monkeypatch):
    joints, vertices = iter([100.0, 90.0, 80.0]), iter([100.0, 60.0, 70.0])
    monkeypatch.setattr(program, "joint_errors", lambda *given: {"mpjpe": next(joints), "pa_mpjpe": 1.0})
    monkeypatch.setattr(program, "vertex_errors", lambda *given: {"pve": next(vertices)})
    assert train(replace(config, steps=4, evaluate_every=2, score="pve")) == {
        "mpjpe": 90.0,
        "pa_mpjpe": 1.0,
        "pve": 60.0,
    }


def test_the_vertex_error_is_the_distance_of_surfaces_from_the_pelvis(mocap):
    body = stick_body()
    batch = KeypointBatches(body, load_mocap(mocap), KeypointSampling())(70, torch.Generator().manual_seed(0))
    truth = batch.truth

    class SaysTheTruth(HMR):
        """Or, turned, that everybody faces away from where they do."""

        def __init__(self, turn):
            super().__init__(KeypointEncoder(8, 1), SMALL.head)
            self.turn = torch.tensor(turn)

        def forward(self, inputs, extra=None):
            root = self.turn[:, None] * truth.rotations[:, :1]
            weak = torch.tensor([[0.5, 0.3, 0.2]]).expand(70, 3)
            return HMROutput(torch.cat([root, truth.rotations[:, 1:]], 1), truth.betas, weak)

    assert vertex_errors(SaysTheTruth([1.0, 1.0, 1.0]), [batch], body)["pve"] < 1e-2
    mesh = body(truth_params(truth))
    away = (mesh.vertices - mesh.joints[:, :1])[..., [0, 2]].norm(dim=-1).mean()
    turned = vertex_errors(SaysTheTruth([-1.0, 1.0, -1.0]), [batch], body)["pve"]
    assert turned == pytest.approx(2000.0 * float(away), rel=1e-4)


def test_plain_gradient_descent_goes_against_the_gradient(config):
    descent = replace(config, optimizer="sgd", learning_rate=0.1, warmup=1, clip=1e9, weight_decay=0.0, average=0.0)
    opened = program.open_training(descent, torch.device("cpu"))
    weight = opened.state.model.head.fc1.weight
    before = weight.detach().clone()
    descend(opened, 0.1, 1e9)
    torch.testing.assert_close(weight.detach(), before - 0.1 * weight.grad)
    errors = train(replace(descent, out=config.out / "whole", steps=40, evaluate_every=40, clip=1.0))
    lines = (config.out / "whole" / "metrics.jsonl").read_text().splitlines()
    assert errors["mpjpe"] < json.loads(lines[0])["mpjpe"]


def test_training_that_diverges_stops_and_keeps_the_best(config, monkeypatch, capsys):
    far = iter([100.0, 90.0, 300.0, 300.0, 300.0])
    monkeypatch.setattr(program, "joint_errors", lambda *given: {"mpjpe": next(far), "pa_mpjpe": 1.0})
    config = replace(config, steps=40, evaluate_every=2)
    with pytest.raises(TrainingStopped, match="mpjpe on held-out people was 100.0 at the start and 300.0 after step 8"):
        train(config)
    assert load_weights(config.out / "best.safetensors").config == SMALL


def test_the_checkpoint_of_another_network_is_refused(config):
    train(replace(config, steps=2))
    other = replace(config, model=replace(SMALL, width=32))
    with pytest.raises(ValueError, match="last.pt belongs to another network"):
        train(other)


def test_the_adversarial_prior_is_taught_too(config):
    config = replace(config, loss=LossConfig(adversarial=0.1))
    train(config)
    assert metrics(config)[-1]["adversarial"] > 0
    states = [torch.load(config.out / "last.pt", weights_only=True)["others"]["discriminator"]]
    train(replace(config, out=config.out.with_name("other"), loss=LossConfig()))
    states.append(torch.load(config.out.with_name("other") / "last.pt", weights_only=True)["others"]["discriminator"])
    assert not torch.equal(states[0]["D_conv1.weight"], states[1]["D_conv1.weight"])


def test_outlines_of_some_people_of_a_batch_teach(config):
    flat = LossConfig(1.0, 0.0, 0.0, 0.0, silhouette=0.5)
    outlined = replace(config, loss=flat, supervised=0.0, silhouette_people=3)
    training = program.open_training(outlined, torch.device("cpu"))
    batch = training.people.batches(8, torch.Generator().manual_seed(0))
    masks = training._masked(batch).masks
    assert masks is not None and masks.amax((-2, -1)).tolist() == [1.0] * 3 + [0.0] * 5
    _, losses = training.gradient(0)
    assert 0.0 < float(losses["silhouette"]) < 0.5


def test_only_some_people_teach_their_3d(mocap):
    batches = KeypointBatches(stick_body(), load_mocap(mocap), KeypointSampling(), supervised=0.25)
    truth = batches(400, torch.Generator().manual_seed(0)).truth
    known = truth.confidence_params > 0
    assert 0.15 < float(known.float().mean()) < 0.35
    assert bool(((truth.confidence_3d > 0).any(1) == known).all())
    assert bool((truth.confidence_2d > 0).any(1).all())


def test_the_average_follows_the_weights_and_gives_them_back():
    layer = torch.nn.Linear(2, 2)
    average = Average(layer, 0.9)
    start = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight += 1.0
    average.update(layer)
    with average.applied_to(layer):
        assert bool((layer.weight > start).all()) and bool((layer.weight <= start + 1.0).all())
        assert not layer.training
    torch.testing.assert_close(layer.weight.detach(), start + 1.0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": HMRConfig("resnet50")}, "'resnet50' learns from photos: give images.assets"),
        ({"backbone": Path("resnet50.pth")}, "backbone is for encoders of images"),
        ({"precision": "int8"}, "precision must be"),
        ({"steps": 0}, "must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"supervised": 1.5}, "supervised in"),
        ({"momentum": 0.9}, "momentum is for the optimizer 'sgd'"),
        ({"momentum": 1.0, "optimizer": "sgd"}, r"in \[0, 1\)"),
        ({"stop_at": 0.0}, "stop_at is an error in millimetres"),
    ],
)
def test_impossible_training_is_refused(config, wrong, words):
    with pytest.raises(ValueError, match=words):
        replace(config, **wrong)


def test_the_command_line_takes_a_preset_and_names_unknown_keys(tmp_path, mocap, capsys):
    preset = tmp_path / "preset.yaml"
    preset.write_text(
        f"mocap: {mocap}\nout: {tmp_path / 'run'}\nsteps: 1\nbatch_size: 8\nevaluate_people: 8\n"
        "model: {width: 16, blocks: 1, head: {hidden: 16}}\n"
    )
    assert main(["--config", str(preset), "--batch-size", "4"]) == 0
    assert "on held-out subjects" in capsys.readouterr().out
    preset.write_text("stepss: 1\n")
    with pytest.raises(SystemExit) as stop:
        main(["--config", str(preset)])
    assert stop.value.code == 2
    assert "unknown ['stepss']; known: [" in capsys.readouterr().err


def test_a_missing_mocap_file_is_named(config, capsys, tmp_path):
    assert main(["--mocap", str(tmp_path / "none.npz"), "--out", str(config.out)]) == 2
    assert "none.npz does not exist" in capsys.readouterr().err


def test_the_shipped_preset_is_readable():
    preset = load_config(Path(__file__).parents[2] / "configs/train/keypoints.yaml", TrainConfig)
    assert preset.model.encoder == "keypoints"
    assert preset.sampling == KeypointSampling()
