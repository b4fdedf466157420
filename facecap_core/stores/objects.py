"""Objects: those of one bucket, read and written, every error of the network with its remedy."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from facecap_core.errors import StoreError

EXTRA = "pip install -e '.[s3]'"
_RETRIES = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}
_IMPATIENT = {"max_retries": 1, "retry_timeout": timedelta(seconds=4)}
_TRANSIENT = re.compile(
    r"status code: (5\d\d|408|409|429)|HTTP error|error sending request|timed? ?out", re.I
)


class Conflict(Exception):
    """Another writer was there first, or an earlier try of the same whose answer was lost."""


@dataclass(frozen=True)
class Listed:
    """What a listing says of one object."""

    key: str
    size: int
    e_tag: str
    modified: datetime


@dataclass(frozen=True)
class Bucket:
    """The objects of one bucket.

    Credentials, region and endpoint are those that obstore finds by itself: the variables AWS_*, or the
    role of the machine.
    """

    name: str
    patient: bool = True  # tries again for up to a minute where the network fails

    @property
    def client(self) -> Any:
        """obstore's store of the whole bucket."""
        return _client(self.name, self.patient)

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Content and e_tag of an object; None where there is none."""
        import obstore

        with self.told(key):
            try:
                answer = obstore.get(self.client, key)
                return bytes(answer.bytes()), str(answer.meta["e_tag"])
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    def blocks(self, key: str) -> Iterator[bytes] | None:
        """The content of an object in pieces; None where there is none."""
        import obstore

        with self.told(key):
            try:
                answer = obstore.get(self.client, key)
            except FileNotFoundError:
                return None
        return self._stream(answer, key)

    def put(
        self, key: str, data: bytes, *, create: bool = False, replacing: str | None = None
    ) -> None:
        """Write an object, in one request.

        Args:
            create: only where there is none. replacing: only in place of the object with this e_tag.

        Raises:
            Conflict: that condition does not hold.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if create else {"e_tag": replacing} if replacing else "overwrite"
        with self.told(key):
            try:
                obstore.put(self.client, key, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError) as error:
                raise Conflict(key) from error

    def list(self, prefix: str) -> Iterator[Listed]:
        """Every object below a prefix."""
        import obstore

        with self.told(prefix):
            for batch in obstore.list(self.client, prefix):
                for meta in batch:
                    yield Listed(
                        meta["path"], meta["size"], str(meta["e_tag"]), meta["last_modified"]
                    )

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, those too that are gone already."""
        import obstore

        doomed = list(keys)
        if doomed:
            with self.told(doomed[0]):
                obstore.delete(self.client, doomed)

    @contextmanager
    def told(self, key: str) -> Iterator[None]:
        """Errors of obstore become StoreErrors."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError) as error:
            raise _store_error(error, f"s3://{self.name}/{key}", self.name) from error

    def _stream(self, answer: Any, key: str) -> Iterator[bytes]:
        with self.told(key):
            yield from map(bytes, answer)


def check_bucket(name: str, key: str) -> None:
    """Find out in a few seconds whether a bucket can be used.

    Raises:
        StoreError: the extra is not installed, or the bucket is absent, closed or out of reach.
    """
    if importlib.util.find_spec("obstore") is None:
        raise StoreError(
            "arrays on S3 need the package obstore", remedy=EXTRA, file=f"s3://{name}/{key}"
        )
    import obstore

    bucket = Bucket(name, patient=False)
    with bucket.told(key):
        obstore.list_with_delimiter(bucket.client, key or None)


@functools.lru_cache(maxsize=8)
def _client(name: str, patient: bool) -> Any:
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise StoreError(
            "arrays on S3 need the package obstore", remedy=EXTRA, file=f"s3://{name}"
        ) from error
    retries: Any = _RETRIES if patient else _IMPATIENT
    return from_url(f"s3://{name}", retry_config=retries)


def _store_error(error: Exception, url: str, bucket: str) -> StoreError:
    """The same error in a line, with what a user can do about it."""
    text = str(error)
    code = re.search(r"<Code>(\w+)</Code>", text)
    kind: Literal["absent", "denied", "keyless", "other"] = "other"
    if "NoSuchBucket" in text:
        kind = "absent"
    elif type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
        kind = "denied"
    elif "169.254." in text:
        kind = "keyless"
    transient = kind == "other" and _TRANSIENT.search(text) is not None
    if kind == "absent":
        message, remedy = f"there is no bucket {bucket}", "create it, or name another in arrays"
    elif kind == "denied":
        message = f"access is denied ({code[1] if code else type(error).__name__})"
        remedy = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do"
    elif kind == "keyless":
        message = "there are no credentials"
        remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the farm's processes"
    else:
        line = text.partition("\n")[0].partition("<?xml")[0]
        said = line.rpartition(" - ")[2].strip(" :") or type(error).__name__
        message = f"the object store does not answer: {said}" + (f" ({code[1]})" if code else "")
        remedy = "check the network and AWS_ENDPOINT_URL, and run the same command again"
        if not transient:
            message = f"the object store refuses: {said}" + (f" ({code[1]})" if code else "")
            remedy = "check AWS_ENDPOINT_URL, AWS_REGION and AWS_ALLOW_HTTP (for http)"
    found = StoreError(message, remedy=remedy, file=url)
    found.transient = transient
    return found
