"""Synthetic photos at a glance: one picture of thumbnails, and a page that shows what each photo holds."""

import html
from pathlib import Path

import numpy as np
import PIL.Image

from fitloop.body.files import whole_file

_COLUMNS, _ROWS, _THUMB = 10, 10, 160
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif }
body { margin: 1.5rem } main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)) }
figure { margin: 0 } img { width: 100%; height: auto; border-radius: 4px } figcaption { font-size: .85rem }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 2px } .mask { filter: brightness(60); background: #000 }
"""


def write_contact_sheet(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write ``contact.jpg`` and ``contact.html``.

    Args:
        folder: With photos/ and masks/.
        arrays: The people of all photos, as `fitloop.data.synthetic.files.join_truth` gives them.
    """
    names = list(dict.fromkeys(str(name) for name in arrays["photo"]))
    _write_picture(folder, names)
    figures = [_figure(name, arrays) for name in names]
    people = len(arrays["photo"])
    page = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Synthetic people</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style>\n'
        f"<h1>Synthetic people</h1><p>{people} people in {len(names)} photos, each with its silhouette.</p>\n"
        f"<main>\n{chr(10).join(figures)}\n</main></html>\n"
    )
    with whole_file(folder / "contact.html") as file:
        file.write_text(page, encoding="utf-8")


def _write_picture(folder: Path, names: list[str]) -> None:
    step = max(1, len(names) // (_COLUMNS * _ROWS))
    chosen = names[::step][: _COLUMNS * _ROWS]
    with PIL.Image.open(folder / "photos" / chosen[0]) as photo:
        tall = max(1, round(_THUMB * photo.height / photo.width))
    sheet = PIL.Image.new("RGB", (_COLUMNS * _THUMB, -(-len(chosen) // _COLUMNS) * tall))
    for place, name in enumerate(chosen):
        with PIL.Image.open(folder / "photos" / name) as photo:
            sheet.paste(photo.resize((_THUMB, tall)), (place % _COLUMNS * _THUMB, place // _COLUMNS * tall))
    with whole_file(folder / "contact.jpg") as file:
        sheet.save(file, "JPEG", quality=88)


def _figure(name: str, arrays: dict[str, np.ndarray]) -> str:
    rows = np.flatnonzero(arrays["photo"] == name)
    told = "; ".join(f"{arrays['garments'][row]}, {100 * arrays['visible_share'][row]:.0f} % visible" for row in rows)
    caption = html.escape(f"{Path(name).stem} ({arrays['grade'][rows[0]]}): {told}")
    photo = f'<img loading="lazy" src="photos/{html.escape(name)}" alt="photo {html.escape(name)}">'
    mask = f'<img loading="lazy" class="mask" src="masks/{html.escape(Path(name).stem)}.png" alt="its silhouettes">'
    return f'<figure><div class="pair">{photo}{mask}</div><figcaption>{caption}</figcaption></figure>'
