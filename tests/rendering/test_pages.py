"""Pages from templates: what is escaped, what is refused, and that nothing comes from elsewhere."""

import re
from importlib.resources import files

import numpy as np
import pytest
from html_elements import elements
from jinja2 import DictLoader, UndefinedError
from markupsafe import Markup

from fitloop.rendering.pages import environment, fragment, write_html

PACKAGES = ("fitloop.rendering", "fitloop.evaluation", "fitloop.pipelines")
ASSETS = [
    pytest.param(path, id=f"{package}/{path.name}")
    for package in PACKAGES
    for path in sorted(files(package).joinpath("assets").iterdir(), key=lambda path: path.name)
    if path.name.endswith((".html", ".css", ".js"))
]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a page from the source of a template."""

    def make(source: str, **values: object) -> str:
        monkeypatch.setattr(environment("fitloop.rendering"), "loader", DictLoader({"page": source}))
        environment("fitloop.rendering").cache.clear()
        write_html(tmp_path / "page.html", "fitloop.rendering", "page", **values)
        return (tmp_path / "page.html").read_text(encoding="utf-8")

    yield make
    environment("fitloop.rendering").cache.clear()


def test_names_are_escaped_and_parts_of_pages_are_not(write):
    name = '<script>"it\'s" & 日本.jpg'
    page = write('<p title="{{ name }}">{{ name }}</p>{{ part }}', name=name, part=Markup("<b>bold</b>"))
    found = elements(page)
    assert found.attributes["p"] == [{"title": name}] and found.texts["p"] == [name]
    assert found.texts["b"] == ["bold"] and "script" not in found.texts and "日本" in page


def test_a_value_that_nobody_gave_is_an_error_and_leaves_no_file(write, tmp_path):
    with pytest.raises(UndefinedError, match="'gone' is undefined"):
        write("{{ name }} {{ gone }}", name="here")
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_no_json_are_refused(write):
    assert write("{{ tree|tojson }}", tree={"b": 1, "a": [0.5, None]}) == '{"b":1,"a":[0.5,null]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write("{{ tree|tojson }}", tree={"a": np.nan})


def test_iterators_are_drawn_from_while_the_page_is_written(write, tmp_path):
    sizes = []

    def photos():
        for number in range(2000):
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield f"{number:0100d}"

    assert write("{% for photo in photos %}<p>{{ photo }}</p>{% endfor %}", photos=photos()).count("<p>") == 2000
    assert sizes[0] == 0 and sizes[-1] > 100_000, "the first photos are on disk before the last is read"


def test_file_names_that_are_no_utf8_do_not_stop_a_page(write):
    assert write("<p>{{ name }}</p>", name="caf\udce9.jpg") == "<p>caf?.jpg</p>"


def test_a_macro_gives_a_part_that_is_not_escaped_again():
    part = fragment("fitloop.rendering", "viewer.html", "figure_of_file", (0, 0, 40, 30), 'a "b".js')
    assert part.startswith('<figure class="fitloop-viewer" data-scene="a &#34;b&#34;.js">')
    assert Markup("{}").format(part) == part


@pytest.mark.parametrize("path", ASSETS)
def test_templates_styles_and_scripts_reach_for_nothing_outside_and_cannot_end_their_tag(path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/", "")
    # The page of `fitloop demo` talks to the server that gave it, and to no other.
    asks = "" if path.name == "demo.js" else r"|fetch\(|XMLHttpRequest"
    assert not re.search(r"https?://|@import|url\(" + asks, text)
    if path.name.endswith(".html"):
        assert not re.search(r"\|\s*safe\b|autoescape", text), "everything is escaped"
    else:
        assert "</script" not in text and "</style" not in text
