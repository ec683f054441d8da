"""Configs: frozen dataclasses, written in YAML as only what differs from the defaults; unknown keys are refused."""

import dataclasses
import sys
import types
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro
import yaml

from fitloop.pipelines.console.endings import stop

Config = TypeVar("Config")


def load_config(path: str | Path, kind: type[Config]) -> Config:
    """Read a YAML file into a config dataclass.

    Args:
        path: A mapping of field names to values; nested mappings become nested configs. An empty file is the default.
        kind: The dataclass to build.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not YAML, has an unknown key (names the known ones), or a value of the wrong type.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no config file {path}; presets are in the folder configs/.")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable YAML: {' '.join(str(error).split())}") from error
    return config_from_tree(tree, kind, str(path))


def config_from_tree(tree: Any, kind: type[Config], where: str) -> Config:
    """Build a config from nested plain values.

    Args:
        tree: A mapping of field names, or None for the defaults.
        kind: The dataclass to build.
        where: What to call the source in error messages.

    Raises:
        ValueError: If a key is unknown or missing, or a value has the wrong type.
    """
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise ValueError(f"{where}: expected a mapping of {kind.__name__} fields, got {tree!r}.")
    fields = [field for field in dataclasses.fields(kind) if field.init]  # pyright: ignore[reportArgumentType]
    known = sorted(field.name for field in fields)
    unknown = sorted(str(key) for key in tree if key not in known)
    if unknown:
        raise ValueError(f"{where}: unknown {unknown}; known: {known}.")
    required = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    missing = sorted(name for name in required if name not in tree)
    if missing:
        raise ValueError(f"{where}: {missing} must be given; known: {known}.")
    hints = get_type_hints(kind)
    values = {str(key): _convert(value, hints[key], f"{where}: {key}") for key, value in tree.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def config_to_tree(config: Any) -> Any:
    """Turn a config into plain values that YAML and JSON hold; the inverse of `config_from_tree`."""
    if dataclasses.is_dataclass(config):
        return {f.name: config_to_tree(getattr(config, f.name)) for f in dataclasses.fields(config) if f.init}
    if isinstance(config, tuple | list):
        return [config_to_tree(value) for value in config]
    if isinstance(config, dict):
        return {key: config_to_tree(value) for key, value in config.items()}
    return str(config) if isinstance(config, Path) else config


def save_config(config: Any, path: str | Path) -> None:
    """Write every field of a resolved config, so that ``--config path`` repeats the run."""
    Path(path).write_text(yaml.safe_dump(config_to_tree(config), sort_keys=False, allow_unicode=True), encoding="utf-8")


def _convert(value: Any, hint: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return config_from_tree(value, hint, where)
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise ValueError(f"{where} must be one of {list(get_args(hint))}, got {value!r}.")
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(value, get_args(hint), where)
    if origin is tuple:
        return _convert_tuple(value, get_args(hint), where)
    if origin is dict:
        return _convert_dict(value, get_args(hint), where)
    return _convert_scalar(value, hint, where)


def _convert_union(value: Any, options: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in options:
        return None
    problems = []
    for option in (option for option in options if option is not type(None)):
        try:
            return _convert(value, option, where)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(problems[0] if len(problems) == 1 else f"{where} fits no allowed type: {' '.join(problems)}")


def _convert_tuple(value: Any, kinds: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where} must be a list, got {value!r}.")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise ValueError(f"{where} must have {len(kinds)} values, got {len(value)}.")
    return tuple(_convert(v, kind, f"{where}[{n}]") for n, (v, kind) in enumerate(zip(value, kinds, strict=True)))


def _convert_dict(value: Any, kinds: tuple[Any, ...], where: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be a mapping, got {value!r}.")
    return {_convert(k, kinds[0], where): _convert(v, kinds[1], f"{where}.{k}") for k, v in value.items()}


def _convert_scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint is Path and isinstance(value, str):
        return Path(value)
    # YAML 1.1 reads "1e-4" as text, and whole numbers where a fraction is meant; both are what the user meant.
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, bool) and hint in (int, float) or not isinstance(value, hint):
        raise ValueError(f"{where} must be {getattr(hint, '__name__', hint)}, got {value!r}.")
    return value


Config = TypeVar("Config")


def parse(kind: type[Config], arguments: list[str] | None = None, description: str | None = None) -> Config:
    """Read options into a config; ``--config FILE`` gives new defaults, options override it.

    Args:
        kind: A frozen dataclass; its fields are the options, the strings beneath them the manual.
        arguments: Options, those of the process if not given.
        description: What ``--help`` says first; the dataclass's docstring if not given.

    Raises:
        SystemExit: With code 2 after a sentence on stderr, if an option or a key of the file is unknown or wrong.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    preset = _take_preset(given)
    try:
        if preset is None:
            return tyro.cli(kind, args=given, description=description)
        return tyro.cli(kind, args=given, default=load_config(preset, kind), description=description)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(stop(str(error))) from error


def _take_preset(given: list[str]) -> Path | None:
    for position, word in enumerate(given):
        if word == "--config" and position + 1 < len(given):
            del given[position]
            return Path(given.pop(position))
        if word.startswith("--config="):
            return Path(given.pop(position).removeprefix("--config="))
    return None
