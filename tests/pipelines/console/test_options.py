"""Options, presets, subcommands."""

import pytest

from fitloop.pipelines.cli import COMMANDS, main
from fitloop.pipelines.console.options import parse
from fitloop.pipelines.folder.config import RunConfig


def test_options_become_a_config():
    config = parse(RunConfig, ["--images", "photos", "--no-fit", "--body", "me.pkl", "--batch-size", "3"])
    assert (str(config.images), config.fit, config.body, config.batch_size) == ("photos", False, "me.pkl", 3)


def test_a_preset_gives_defaults_that_options_override(tmp_path):
    preset = tmp_path / "preset.yaml"
    preset.write_text("images: photos\nregressor: mean\nbatch_size: 2\n")
    config = parse(RunConfig, ["--config", str(preset), "--batch-size", "5"])
    assert (config.regressor, config.batch_size) == ("mean", 5)


def test_an_unknown_key_names_the_known_ones(tmp_path, capsys):
    preset = tmp_path / "preset.yaml"
    preset.write_text("images: photos\nregresor: mean\n")
    with pytest.raises(SystemExit) as stopped:
        parse(RunConfig, ["--config", str(preset)])
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert "unknown ['regresor']" in told and "regressor" in told


def test_an_unknown_option_stops_with_code_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(RunConfig, ["--images", "photos", "--regresor", "mean"])
    assert stopped.value.code == 2
    assert "--regressor" in capsys.readouterr().err


def test_a_value_out_of_range_is_a_sentence(capsys):
    with pytest.raises(SystemExit):
        parse(RunConfig, ["--images", "photos", "--batch-size", "0"])
    assert "batch-size must be at least 1" in capsys.readouterr().err


def test_an_unknown_command_names_the_known_ones(capsys):
    assert main(["fly"]) == 2
    told = capsys.readouterr().err
    assert all(name in told for name in COMMANDS)


def test_help_tells_every_command(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    assert "usage: " in capsys.readouterr().out
