from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from fitloop.pipelines.console.options import config_from_tree, config_to_tree, load_config, save_config


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    names: tuple[str, ...] = ("a",)


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    stages: tuple[Inner, ...] = ()
    mode: Literal["fast", "slow"] = "fast"
    steps: int = 3
    out: Path | None = None
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be positive, got {self.steps}.")


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    return path


def test_only_what_differs_needs_to_be_written(tmp_path):
    path = write(tmp_path, "inner: {rate: 1e-4}\nstages: [{names: [x, y]}]\nout: runs\nweights: {pose: 2}\n")
    expected = Outer(Inner(1e-4), (Inner(names=("x", "y")),), out=Path("runs"), weights={"pose": 2.0})
    assert load_config(path, Outer) == expected


def test_an_empty_file_is_the_default(tmp_path):
    assert load_config(write(tmp_path, "# nothing\n"), Outer) == Outer()


def test_a_saved_config_loads_back_equal(tmp_path):
    config = Outer(Inner(0.5, ("é", "b")), (Inner(), Inner(2.0)), "slow", 7, tmp_path, {"a": 1.5})
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml", Outer) == config
    assert config_from_tree(config_to_tree(config), Outer, "tree") == config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "stagess: []",
            r"bad.yaml: unknown \['stagess'\]; known: \['inner', 'mode', 'out', 'stages', 'steps', 'weights'\]",
        ),
        ("inner: {rat: 1}", r"bad.yaml: inner: unknown \['rat'\]; known: \['names', 'rate'\]"),
        ("mode: quick", r"mode must be one of \['fast', 'slow'\], got 'quick'"),
        ("steps: many", "steps must be int, got 'many'"),
        ("steps: true", "steps must be int, got True"),
        ("steps: 0", "steps must be positive, got 0"),
        ("inner: 3", "inner must be a mapping of Inner fields"),
        ("steps: many\nmode: quick", "mode must be one of.*steps must be int"),
        ("inner: {names: x}", "names must be a list, got 'x'"),
        ("inner: {rate: quick}", "rate must be float, got 'quick'"),
        ("inner: [", "not readable YAML"),
        ("- 1", "expected a mapping of Outer fields"),
        ("out: 3", "out must be Path, got 3"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path, text, words):
    with pytest.raises(ValueError, match=words):
        load_config(write(tmp_path, text), Outer)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.yaml"):
        load_config(tmp_path / "none.yaml", Outer)


def test_a_required_field_is_asked_for():
    @dataclass(frozen=True)
    class Needy:
        images: Path

    with pytest.raises(ValueError, match="here: images must be given"):
        config_from_tree({}, Needy, "here")
