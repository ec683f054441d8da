"""Listing S3 page by page: however many objects lie in a folder, a thousand names are held at a time."""

from collections.abc import Iterator
from typing import Any

from fitloop.data.patience import persistently

_UNSORTED = "--x-s3"
"""Ends the names of directory buckets, which list their objects in no order; each folder is sorted here then."""


def in_pages(files: Any, root: str) -> bool:
    """Whether a place can be listed so.

    Args:
        files: A file system of fsspec.
        root: Bucket and folder.
    """
    return hasattr(files, "call_s3") and not root.split("/")[0].endswith(_UNSORTED)


def listed_in_pages(files: Any, root: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names below a place and what S3 tells of each, in the order of the names.

    S3 sorts by the bytes of UTF-8, as Python sorts text. A page that fails is asked for again; those before it are not.

    Args:
        files: An `s3fs.S3FileSystem`.
        root: Bucket and folder.

    Raises:
        FileNotFoundError: If there is no such bucket, or nothing below such a folder.
        OSError: If it cannot be listed.
    """
    bucket, _, folder = root.partition("/")
    prefix = f"{folder}/" if folder else ""
    asked = {"Bucket": bucket, "Prefix": prefix, **files.req_kw}
    empty = True
    while True:
        page = persistently(lambda given=asked: files.call_s3("list_objects_v2", **given))
        for entry in page.get("Contents", ()):
            empty = False
            yield entry["Key"].removeprefix(prefix), {**entry, "size": entry["Size"]}
        if not page.get("IsTruncated"):
            break
        asked = {**asked, "ContinuationToken": page["NextContinuationToken"]}
    if empty and prefix:
        raise FileNotFoundError(root)
