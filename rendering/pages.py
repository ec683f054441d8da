"""Pages from Jinja2 templates: everything escaped, a missing value an error, nothing fetched from a network.

The viewer writes HTML below the evaluation and the pipelines, so the environment of all three lives here. Templates,
styles and scripts of a package lie flat in its assets/, which is what gets installed.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fitloop.body.files import whole_file

_PIECES = 256
"""Bits of a page written together: a page of thousands of photos never stands in memory as a whole."""


@lru_cache
def environment(package: str) -> Environment:
    """Templates of a package, and below them those of `fitloop.rendering` that all share.

    Args:
        package: Whose assets/ holds the templates, such as ``fitloop.evaluation``.
    """
    loader = ChoiceLoader([PackageLoader(package, "assets"), PackageLoader("fitloop.rendering", "assets")])
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # Numbers that are not finite are no JSON: a browser would refuse the whole page's data.
    pages.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    # Styles and scripts have braces of their own, so they enter as they are and not as templates.
    pages.globals["asset"] = lambda name: Markup(loader.get_source(pages, name)[0])
    return pages


def fragment(package: str, template: str, macro: str, *values: Any) -> Markup:
    """Part of a page: what a macro makes of some values.

    Args:
        package: As for `environment`.
        template: Name of the file that defines the macro.
        macro: Its name.
        values: Text among them is escaped, `Markup` is not.
    """
    return Markup(getattr(environment(package).get_template(template).module, macro)(*values))


def write_html(path: Path, package: str, template: str, **values: Any) -> None:
    """Write a page whole or not at all; iterators among the values are drawn from while it is written.

    Args:
        path: Where to.
        package: As for `environment`.
        template: Name of its file.
        values: What the template names.

    Raises:
        OSError: If it cannot be written.
    """
    stream = environment(package).get_template(template).stream(**values)
    stream.enable_buffering(_PIECES)
    with whole_file(path) as file:
        # A file name that is no UTF-8 shows a question mark; its link is made of the bytes.
        stream.dump(str(file), encoding="utf-8", errors="replace")
