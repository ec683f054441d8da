"""What a browser finds in a page."""

from collections import defaultdict
from html.parser import HTMLParser

EMPTY = {"meta", "link", "img", "input", "line", "circle", "rect", "image"}


class Elements(HTMLParser):
    """Attributes and texts of a page's elements by tag, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: dict[str, list[dict[str, str | None]]] = defaultdict(list)
        self.texts: dict[str, list[str]] = defaultdict(list)
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.attributes[tag].append(dict(attrs))
        if tag not in EMPTY:
            self.open.append(tag)
            self.texts[tag].append("")

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag, f"{tag} ends where something else is open"

    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]][-1] += data


def elements(page: str) -> Elements:
    """Read a page; every element must end where it should."""
    found = Elements()
    found.feed(page)
    found.close()
    assert found.open == []
    return found
