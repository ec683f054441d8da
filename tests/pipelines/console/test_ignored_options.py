"""Options that would change nothing are refused by name, in every program."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from fitloop.pipelines.cli import main
from fitloop.pipelines.console.options import load_config, parse, refuse_ignored
from fitloop.pipelines.folder.config import RunConfig

RUN = ["run", "--images", "photos"]
EVALUATE = ["evaluate", "--truth", "t.npz", "--results", "out", "--json", "s.json", "--protocol"]
REPORT = ["report", "--results", "out", "--out", "r.html"]
PREPARE = ["prepare", "mpii", "--source", "mpii"]


@dataclass(frozen=True)
class Tea:
    milk: bool = False
    sugar: int = 0

    def __post_init__(self) -> None:
        refuse_ignored(self, {"sugar": (self.milk, "only tea with milk takes sugar.")})


def test_an_option_at_its_default_is_not_given():
    assert Tea(sugar=0).sugar == 0 and Tea(True, 2).sugar == 2
    with pytest.raises(ValueError, match="--sugar would be ignored: only tea with milk takes sugar"):
        Tea(sugar=2)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([*RUN, "--detector-weights", "x.onnx"], "--detector-weights"),
        ([*RUN, "--detector", "rtmlib", "--detector-config", "x.py"], "--detector-config"),
        ([*RUN, "--boxes", "b.json"], "--boxes"),
        ([*RUN, "--keypoints", "k.json", "--detector", "rtmlib"], "--detector"),
        ([*RUN, "--keypoints", "k.json", "--detector", "rtmlib", "--boxes", "b.json"], "--boxes"),
        ([*RUN, "--no-fit", "--offsets"], "--offsets"),
        ([*RUN, "--no-refine", "--offsets"], "--offsets"),
        ([*RUN, "--no-refine", "--texture", "t.npz"], "--texture"),
        ([*RUN, "--refine", "--texture-people", "a.jpg:0"], "--texture-people"),
        ([*RUN, "--focal-length", "900", "--field-of-view", "60"], "--focal-length"),
        (["adapt", "--images", "photos", "--offsets"], "--offsets"),
        (["adapt", "--images", "photos", "--rasterizer", "torch"], "--rasterizer"),
        (["adapt", "--images", "photos", "--no-fit"], "--no-fit"),
        ([*PREPARE, "--image-prefix", "train/"], "--image-prefix"),
        ([*PREPARE, "--spin-compat"], "--spin-compat"),
        ([*PREPARE, "--allow-duplicates"], "--allow-duplicates"),
        ([*EVALUATE, "coco", "--male-body", "m.pkl"], "--male-body"),
        ([*EVALUATE, "coco", "--joint-regressor", "j.npy"], "--joint-regressor"),
        ([*EVALUATE, "coco", "--masks", "masks"], "--masks"),
        ([*EVALUATE, "coco", "--unit", "millimetres"], "--unit"),
        ([*EVALUATE, "lsp", "--part-order", "torso"], "--part-order"),
        ([*REPORT, "--female-body", "f.pkl"], "--female-body"),
        ([*REPORT, "--masks", "masks"], "--masks"),
        (["synthesize", "--preset", "open-bench", "--scene.people", "2", "3"], "--scene"),
        (["texture", "--results", "out", "--images", "p", "--people", "a.jpg:0", "--largest"], "--largest"),
    ],
)
def test_a_program_refuses_options_that_it_would_ignore(arguments, named, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert named in capsys.readouterr().err


def test_a_file_and_single_options_are_judged_together(tmp_path, capsys):
    preset = tmp_path / "offsets.yaml"
    preset.write_text("offsets: true\n")
    config = parse(RunConfig, ["--config", str(preset), "--images", "photos"])
    assert config.refine and config.offsets
    with pytest.raises(SystemExit):
        parse(RunConfig, ["--config", str(preset), "--images", "photos", "--no-refine"])
    assert "--offsets would be ignored" in " ".join(capsys.readouterr().err.split())


def test_what_neither_the_file_nor_the_options_say_is_asked_for(tmp_path, capsys):
    preset = tmp_path / "preset.yaml"
    preset.write_text("refine: true\n")
    with pytest.raises(SystemExit) as stopped:
        parse(RunConfig, ["--config", str(preset)])
    assert stopped.value.code == 2 and "--images" in capsys.readouterr().err


def test_a_config_without_a_file_is_a_sentence(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(RunConfig, ["--images", "photos", "--config"])
    assert stopped.value.code == 2 and "--config needs a YAML file" in capsys.readouterr().err


@pytest.mark.parametrize("preset", sorted(Path("configs/run").glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_of_the_main_job_need_only_what_their_command_says(preset):
    first = preset.read_text().splitlines()[0]
    words = first[first.index("fitloop run ") :].split(" (")[0].split()[2:]
    config = parse(RunConfig, words)
    assert config.images == Path("photos") and config.outputs is not None


def test_the_resolved_config_of_a_run_can_be_read_again(tmp_path):
    from fitloop.pipelines.console.options import save_config

    config = RunConfig(images=tmp_path, refine=True, offsets=True, field_of_view=60.0)
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml", RunConfig) == config
    assert parse(RunConfig, ["--config", str(tmp_path / "config.yaml")]) == config
