"""Fills the reference pages: every public name of a package, from where its `__init__.py` imports it."""

import ast
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace ``::: fitloop.PACKAGE`` by one entry per name that the package exports."""
    lines = []
    for line in markdown.splitlines():
        name = line.removeprefix("::: fitloop.") if line.startswith("::: fitloop.") else ""
        init = ROOT / name / "__init__.py"
        if not name.isidentifier() or not init.is_file():
            lines.append(line)
            continue
        tree = ast.parse(init.read_text(encoding="utf-8"))
        lines += [str(ast.get_docstring(tree)), ""]
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                lines += [f"## {a.name}\n\n::: {node.module}.{a.name}\n" for a in node.names]
    return "\n".join(lines)
