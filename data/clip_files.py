"""Which files are clips."""

from pathlib import Path

from fitloop.data.photo_files import SUFFIXES, files_below

CLIP_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".m2ts", ".mts", ".wmv", ".flv"),
    *(".3gp", ".3g2", ".ogv", ".mxf", ".vob", ".asf"),
)
"""Files with these endings, in either case, are clips wherever they lie; others are if they are given themselves."""


def find_clips(place: str | Path) -> list[str]:
    """List the clips in a folder and below it; of a file, its own name.

    Args:
        place: A folder, or one clip of any ending: an animated GIF is a clip if it is given itself, and a photo (its
            first picture) in a folder. A photo of another kind is no clip.

    Returns:
        Paths below the folder with forward slashes, sorted; empty if there is no clip.

    Raises:
        ValueError: If ``place`` is missing, or may not be read.
    """
    root = Path(place)
    if root.is_file():
        photo = root.name.lower().endswith(SUFFIXES) and not root.name.lower().endswith(".gif")
        return [] if photo else [root.name]
    return sorted(name for name in files_below(root, lambda _: None) if name.lower().endswith(CLIP_SUFFIXES))
