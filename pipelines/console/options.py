"""Configs: frozen dataclasses, written in YAML as only what differs from the defaults; unknown keys are refused."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, get_args, get_origin, get_type_hints

import tyro
import yaml
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError

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
    return config_from_tree(_read_yaml(Path(path)), kind, str(path))


def config_from_tree(tree: Any, kind: type[Config], where: str) -> Config:
    """Build a config from nested plain values.

    Args:
        tree: A mapping of field names, or None for the defaults.
        kind: The dataclass to build.
        where: What to call the source in error messages.

    Raises:
        ValueError: If a key is unknown or missing, or a value has the wrong type; tells all of them.
    """
    return _structured(tree, kind, kind, where)


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


def refuse_ignored(config: Any, rules: Mapping[str, tuple[bool, str]]) -> None:
    """Refuse options that were set and would change nothing; for ``__post_init__``.

    An option counts as set where it differs from its default, so that the resolved config of a run can be read again.

    Args:
        config: A config dataclass.
        rules: Name of a field -> whether it is used, and a sentence that says what it needs.

    Raises:
        ValueError: If there is one; names all of them.
    """
    defaults = {field.name: _default(field) for field in dataclasses.fields(config)}
    ignored = [name for name, (used, _) in rules.items() if not used and getattr(config, name) != defaults[name]]
    if ignored:
        told = " ".join(f"{option(name)} would be ignored: {rules[name][1]}" for name in ignored)
        raise ValueError(told)


def option(name: str) -> str:
    """How a field is called on the command line."""
    return "--" + name.replace("_", "-")


def parse(kind: type[Config], arguments: list[str] | None = None, description: str | None = None) -> Config:
    """Read options into a config; ``--config FILE`` gives new defaults, options override it.

    The file may leave out what the options give, required ones too: only both together have to make sense.

    Args:
        kind: A frozen dataclass; its fields are the options, the strings beneath them the manual.
        arguments: Options, those of the process if not given.
        description: What ``--help`` says first; the dataclass's docstring if not given.

    Raises:
        SystemExit: With code 2 after a sentence on stderr, if an option or a key of the file is unknown or wrong.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    told = f"{description or kind.__doc__}\n\n--config FILE reads options from a YAML file; single options override it."
    try:
        preset = _take_preset(given)
        if preset is None:
            return tyro.cli(kind, args=given, description=told)
        return tyro.cli(kind, args=given, default=_with_defaults(preset, kind), description=told)
    except (ValueError, FileNotFoundError) as error:
        raise SystemExit(stop(str(error))) from error


def _take_preset(given: list[str]) -> Path | None:
    for position, word in enumerate(given):
        if word == "--config":
            if position + 1 == len(given):
                raise ValueError("--config needs a YAML file; presets are in the folder configs/.")
            del given[position]
            return Path(given.pop(position))
        if word.startswith("--config="):
            return Path(given.pop(position).removeprefix("--config="))
    return None


def _with_defaults(path: Path, kind: type[Config]) -> Config:
    """An unchecked config: values of the file, defaults, and a mark where options have to say the rest."""
    fields = dataclasses.fields(kind)  # pyright: ignore[reportArgumentType]
    hints = {field.name: get_type_hints(kind, include_extras=True)[field.name] for field in fields if field.init}
    # Of the options alone no field is required, and the class itself looks at values only when all are there.
    some = TypedDict(kind.__name__, hints, total=False)  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    values = _structured(_read_yaml(path), some, kind, str(path))
    config = object.__new__(kind)
    for field in fields:
        object.__setattr__(config, field.name, values.get(field.name, _default(field)))
    return config


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING if field.default is dataclasses.MISSING else field.default


def _read_yaml(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"There is no config file {path}; presets are in the folder configs/.")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not readable YAML: {' '.join(str(error).split())}") from error


def _structured(tree: Any, shape: Any, kind: type, where: str) -> Any:
    tree = {} if tree is None else tree
    if not isinstance(tree, dict):
        raise ValueError(f"{where}: expected a mapping of {kind.__name__} fields, got {tree!r}.")
    try:
        return _CONVERTER.structure(tree, shape)
    except BaseValidationError as error:
        raise ValueError(" ".join(_sentence(told, where) for told in transform_error(error, "", _told))) from error


def _told(error: BaseException, kind: Any) -> str:
    if isinstance(error, ForbiddenExtraKeysError):
        return f"unknown {sorted(map(str, error.extra_fields))}; known: {sorted(get_type_hints(error.cl))}."
    if isinstance(error, KeyError):
        return "must be given."
    if dataclasses.is_dataclass(kind):
        return f"must be a mapping of {getattr(kind, '__name__', kind)} fields."
    return str(error)


def _sentence(told: str, where: str) -> str:
    words, _, place = told.rpartition(" @ ")
    place = place.removeprefix(".")
    return f"{where}: {place}{' ' if words.startswith('must') else ': '}{words}" if place else f"{where}: {words}"


def _scalar(value: Any, kind: type) -> Any:
    # YAML 1.1 reads "1e-4" as text, and whole numbers where a fraction is meant; both are what the user meant.
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(value, bool) and kind is not bool or not isinstance(value, kind):
        raise TypeError(f"must be {kind.__name__}, got {value!r}.")
    return value


def _choice(value: Any, hint: Any) -> Any:
    if value not in get_args(hint):
        raise ValueError(f"must be one of {list(get_args(hint))}, got {value!r}.")
    return value


def _row(value: Any, hint: Any) -> tuple[Any, ...]:
    kinds = get_args(hint)
    if not isinstance(value, list | tuple):
        raise TypeError(f"must be a list, got {value!r}.")
    if kinds[-1] is Ellipsis:
        return tuple(_CONVERTER.structure(value, list[kinds[0]]))
    if len(kinds) != len(value):
        raise ValueError(f"must have {len(kinds)} values, got {len(value)}.")
    return tuple(_CONVERTER.structure(one, kind) for one, kind in zip(value, kinds, strict=True))


def _made_converter() -> Converter:
    """Make cattrs as strict as the options: by itself it takes "x" for a list of letters and 3 for a text."""
    converter = Converter(forbid_extra_keys=True)
    for kind in (bool, int, float, str, Path):
        converter.register_structure_hook(kind, _scalar)
    rules: dict[Any, Callable[[Any, Any], Any]] = {Literal: _choice, tuple: _row}
    for origin, hook in rules.items():
        converter.register_structure_hook_func(lambda hint, wanted=origin: get_origin(hint) is wanted, hook)
    return converter


_CONVERTER = _made_converter()
