"""Synthetic photos at a glance: one picture of thumbnails, and a page that shows what each photo holds."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from fitloop.body.files import whole_file
from fitloop.rendering.pages import write_html

_COLUMNS, _ROWS, _THUMB = 10, 10, 160


def write_contact_sheet(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write ``contact.jpg`` and ``contact.html``.

    Args:
        folder: With photos/ and masks/.
        arrays: The people of all photos, as `fitloop.data.synthetic.files.join_truth` gives them.
    """
    names = list(dict.fromkeys(str(name) for name in arrays["photo"]))
    _write_picture(folder, names)
    photos = [_photo(name, arrays) for name in names]
    write_html(folder / "contact.html", "fitloop.pipelines", "contact.html", people=len(arrays["photo"]), photos=photos)


def _write_picture(folder: Path, names: list[str]) -> None:
    # Thumbnails from all over the set, not the first hundred: kinds of photos come in runs.
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


def _photo(name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    rows = np.flatnonzero(arrays["photo"] == name)
    people = [f"{arrays['garments'][row]}, {100 * arrays['visible_share'][row]:.0f} % visible" for row in rows]
    return {"name": name, "stem": Path(name).stem, "grade": arrays["grade"][rows[0]], "people": people}
