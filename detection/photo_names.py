"""Which entry of a file belongs to which photo, in steps from the exact name to what is lenient."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from fitloop.body.documents import SUFFIXES
from fitloop.detection.layouts import ENDINGS, photo_name
from fitloop.detection.listed import BadKeypoints
from fitloop.detection.mmpose_predictions import BEGINNING

_Key = Callable[[str], str | None]
_PAIRS = 3
"""So many pairs of entry and photo are told."""


def cleaned(name: str) -> str:
    """A name without what systems and web pages do to it: slashes of Windows, addresses, quoting, Unicode forms."""
    plain = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*/", "", name.strip())
    plain = re.sub(r"(\.[A-Za-z0-9]{2,5})[?#].*$", r"\1", plain)
    plain = re.sub(r"^[A-Za-z]:", "", unquote(plain).replace("\\", "/"))
    return unicodedata.normalize("NFC", plain).removeprefix("./").lstrip("/")


def _loose(name: str) -> str:
    return unicodedata.normalize("NFC", cleaned(name).casefold())


def _file_name(name: str) -> str:
    return PurePosixPath(name).name


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def trailing_number(name: str) -> int | None:
    """The number that a photo's name ends in, which is COCO's id of it."""
    found = re.search(r"([0-9]+)$", PurePosixPath(name).stem)
    return int(found[1]) if found and len(found[1]) < 19 else None


def _number_of(key: str) -> int | None:
    found = re.fullmatch(r"([0-9]{1,18})(?:\.0+)?", key.strip())
    return int(found[1]) if found else None


@dataclass(frozen=True)
class _Step:
    """One way to compare an entry's name with a photo's."""

    of_key: _Key
    of_photo: _Key
    lenient: bool = False
    """Whether a match is told."""


def _same(of: Callable[[str], str], lenient: bool = False) -> _Step:
    return _Step(of, of, lenient)


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


_BY_NUMBER = _Step(lambda key: _text(_number_of(key)), lambda name: _text(trailing_number(name)))
_STEPS = (
    _same(str),
    _same(cleaned, lenient=True),
    _same(_loose, lenient=True),
    *(_same(_file_name), _same(lambda name: _file_name(cleaned(name)), lenient=True)),
    _same(lambda name: _file_name(_loose(name)), lenient=True),
    *(_same(_stem), _same(lambda name: _stem(cleaned(name)), lenient=True)),
    _same(lambda name: _stem(_loose(name)), lenient=True),
    _BY_NUMBER,
)


@dataclass(frozen=True)
class Match:
    """The entry of a photo."""

    key: str
    step: int
    """How lenient the match was; 0 is exact."""
    notice: str | None = None
    """A sentence, if the names differ in more than folder and ending."""


class PhotoNames:
    """Finds the entries of photos among the names that a file lists."""

    def __init__(self, keys: Iterable[str], source: str) -> None:
        self._keys = tuple(keys)
        self._source = source
        self._indices: dict[int, dict[str, list[str]]] = {}
        self._belongs: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._ambiguous: set[str] = set()
        self._numbered: dict[str, str] = {}
        self.notices: tuple[str, ...] = ()
        """What `expect` found that the user should know."""

    def find(self, name: str) -> Match | None:
        """Find a photo's entry; None if there is none.

        Raises:
            BadKeypoints: If several entries fit equally well, or the entry fits other photos as well.
        """
        if name in self._refused:
            raise BadKeypoints(self._refused[name])
        found = self._nearest(name)
        if found is None or self._belongs.get(found.key, name) != name:
            return None
        if found.step == len(_STEPS) - 1 and self._numbered.setdefault(found.key, name) != name:
            raise BadKeypoints(self._serves_several({found.key: [self._numbered[found.key], name]}))
        return found

    def expect(self, names: Sequence[str]) -> None:
        """Look at all photos of a run at once, so that no entry serves two of them.

        An entry that fits several photos belongs to the one whose name it fits most exactly; if several fit equally
        well, they are refused when they are asked for.

        Raises:
            BadKeypoints: If no entry fits any photo or there is none, a number fits several, or the numbers fit only
                when shifted.
        """
        if names and not self._keys:
            raise BadKeypoints(f"{self._source} names no photo and nobody. Give the file that belongs to these photos.")
        self._belongs = {name: name for name in names if name in self._index(0)}
        matches = [(name, found) for name in names if (found := self._nearest_or_none(name)) is not None]
        sharing: dict[str, list[tuple[int, str]]] = {}
        for name, match in matches:
            sharing.setdefault(match.key, []).append((match.step, name))
        self._refuse_shifted(names, set(sharing))
        if names and self._keys and not matches and not self._ambiguous:
            raise BadKeypoints(self._nothing_fits(names))
        last = len(_STEPS) - 1
        pairs = {key: [name for step, name in fits if step == last] for key, fits in sharing.items()}
        several = {key: fits for key, fits in pairs.items() if len(fits) > 1}
        if several:
            raise BadKeypoints(self._serves_several(several))
        for key, fits in sharing.items():
            self._settle(key, sorted(fits))
        self._count_strangers(set(sharing))

    def _count_strangers(self, used: set[str]) -> None:
        strangers = [key for key in self._keys if key not in used]
        if strangers:
            told = ", ".join(map(repr, strangers[:_PAIRS])) + (", ..." if len(strangers) > _PAIRS else "")
            self.notices = (f"{self._source} lists {len(strangers)} photos that are not here: {told}.",)

    def _settle(self, key: str, fits: list[tuple[int, str]]) -> None:
        best = [name for step, name in fits if step == fits[0][0]]
        self._belongs[key] = best[0]
        if len(best) > 1:
            self._refused |= {name: self._serves_several({key: best}) for name in best}

    def _nearest_or_none(self, name: str) -> Match | None:
        try:
            return self._nearest(name)
        except BadKeypoints:
            self._ambiguous.add(name)
            return None

    def _nearest(self, name: str) -> Match | None:
        for number, step in enumerate(_STEPS):
            meaning = step.of_photo(name)
            found = self._index(number).get(meaning, []) if meaning else []
            found = [key for key in found if self._belongs.get(key, name) == name]
            found = _same_folders(found, name) if len(found) > 1 else found
            if len(found) > 1:
                fits = " and ".join(map(repr, found[:_PAIRS]))
                raise BadKeypoints(f"{self._source}: {fits} fit {name!r} equally well. List the photo by its own name.")
            if found:
                notice = f"{self._source} lists {name!r} as {found[0]!r}." if step.lenient else None
                return Match(found[0], number, notice)
        return None

    def _index(self, number: int) -> dict[str, list[str]]:
        if number not in self._indices:
            index: dict[str, list[str]] = {}
            for key in self._keys:
                meaning = _STEPS[number].of_key(key)
                if meaning:
                    index.setdefault(meaning, []).append(key)
            self._indices[number] = index
        return self._indices[number]

    def _refuse_shifted(self, names: Sequence[str], used: set[str]) -> None:
        ids = {number for key in self._keys if (number := _number_of(key)) is not None}
        photos = {number: name for name in names if (number := trailing_number(name)) is not None}
        left = sorted(number for key in self._keys if (number := _number_of(key)) is not None and key not in used)
        if not left or len(ids) != len(self._keys):
            return
        shifts = {1, -1} | ({min(photos) - min(ids)} if photos and len(ids) == len(photos) else set())
        for shift in sorted(shifts - {0}, key=abs):
            if all(number + shift in photos for number in ids):
                pairs = [f"{number} with {photos[number + shift]!r}" for number in sorted(ids)[:_PAIRS]]
                raise BadKeypoints(
                    f"{self._source} numbers its photos from {min(ids)}, the photos from {min(photos)}: only shifted "
                    f"by {shift:+d} do all numbers fit ({', '.join(pairs)}). Add {shift} to the file's numbers, "
                    "or list photos by name."
                )

    def _serves_several(self, several: dict[str, list[str]]) -> str:
        told = [f"{key!r} fits {' and '.join(map(repr, names[:_PAIRS]))}" for key, names in several.items()]
        more = f" ({len(told) - _PAIRS} more like this)" if len(told) > _PAIRS else ""
        return f"{self._source}: {'; '.join(told[:_PAIRS])}{more}. List every photo by its own path."

    def _nothing_fits(self, names: Sequence[str]) -> str:
        listed = ", ".join(map(repr, self._keys[:_PAIRS])) + (", ..." if len(self._keys) > _PAIRS else "")
        photos = ", ".join(map(repr, names[:_PAIRS])) + (", ..." if len(names) > _PAIRS else "")
        return (
            f"{self._source} lists none of the photos: it names {listed}, the photos are {photos}. Give the file that "
            "belongs to these photos, or list them by their names."
        )


def _same_folders(keys: list[str], name: str) -> list[str]:
    """Of several entries those that share most folders with the photo, from the file upwards."""

    def shared(key: str) -> int:
        parts = zip(reversed(_loose(key).split("/")[:-1]), reversed(_loose(name).split("/")[:-1]), strict=False)
        count = 0
        for ours, theirs in parts:
            if ours != theirs:
                break
            count += 1
        return count

    counts = [shared(key) for key in keys]
    return [key for key, count in zip(keys, counts, strict=True) if count == max(counts)]


class FileNames(PhotoNames):
    """Finds the files of photos in a folder that mirrors the photos' own."""

    def _nearest(self, name: str) -> Match | None:
        stem = PurePosixPath(name).with_suffix("").as_posix()
        wanted = [f"{name}.npz", f"{stem}.npz", *_documents(name)]
        for ending in ("", *ENDINGS):
            wanted += _documents(stem + ending)
        wanted += _documents(str(PurePosixPath(stem).with_name(BEGINNING + PurePosixPath(stem).name)))
        for candidate in wanted:
            if candidate in self._known:
                return Match(candidate, 0)
        found = self._by_photo.get(_loose(stem), [])
        if len(found) > 1:
            fits = " and ".join(map(repr, found[:_PAIRS]))
            raise BadKeypoints(f"{self._source}: {fits} fit {name!r} equally well. Name one as the photo.")
        return Match(found[0], 1, f"{self._source} has {name!r} as {found[0]!r}.") if found else None

    @cached_property
    def _known(self) -> set[str]:
        return set(self._keys)

    @cached_property
    def _by_photo(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key in self._keys:
            path = PurePosixPath(key)
            place = _loose((path.parent / photo_name(Path(key))).as_posix())
            found.setdefault(place, []).append(key)
        return found


def _documents(name: str) -> list[str]:
    return [f"{name}{suffix}{packed}" for suffix in SUFFIXES for packed in ("", ".gz")]
