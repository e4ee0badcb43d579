"""Files and folders of a storage: through tf.io.gfile or fsspec, which raise errors of their own.

Where fsspec cannot open a scheme, tensorflow-io may: its plugins of tf.io.gfile load beside
TensorFlow 2.16 alone.

`i3d_tf.system.remote` uses them, and turns their errors into words.
"""

import contextlib
import ctypes
import logging
import os
import secrets
import warnings
from functools import lru_cache
from pathlib import Path

from i3d_tf.system.console import quiet_tensorflow
from i3d_tf.system.errors import short_reason

SEPARATOR = "://"
TENSORFLOW_SCHEMES = ("file", "gs", "ram")
# A file appears whole there when it is written; elsewhere it gets its name when it is.
OBJECT_STORES = ("abfs", "abfss", "az", "gs", "gcs", "oss", "s3", "s3a")
INSTALL = "pip install 'i3d_tf[remote]'"
IO = "beside TensorFlow 2.16 alone, tensorflow-io does as well: pip install 'i3d_tf[io]'"
S3_CREDENTIALS_HINT = " (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)"


class RemoteAccessError(ValueError):
    """A storage that cannot be used at all, for want of credentials or of a library."""


class TransferError(Exception):
    """A transfer that ended early; it is tried again."""


@lru_cache(maxsize=1)
def _fsspec():
    try:
        import fsspec
    except ImportError:
        return None
    # Its libraries log what is raised here as well.
    for name in ("s3fs", "fsspec", "aiobotocore", "botocore"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return fsspec


def open_store(address: str) -> "Store":
    """Returns what reads and writes an address.

    Raises:
        RemoteAccessError: A library is missing, or the scheme is unknown.
    """
    scheme = address.partition(SEPARATOR)[0]
    if scheme in TENSORFLOW_SCHEMES:
        return _TensorFlowStore(address)
    fsspec = _fsspec()
    try:
        if fsspec is not None:
            return _FsspecStore(address, *fsspec.core.url_to_fs(address))
    except (ImportError, ValueError) as error:  # a library is missing, or the scheme unknown
        if scheme not in _plugin_schemes():
            raise RemoteAccessError(
                f"{address}: {scheme}:// cannot be used: {short_reason(error)}. Run {INSTALL}, or "
                f"install the library that fsspec needs for it ({IO})."
            ) from error
    if scheme in _plugin_schemes():
        return _PluginStore(address)
    raise RemoteAccessError(f"{address}: {scheme}:// needs fsspec. Run {INSTALL} ({IO}).")


@lru_cache(maxsize=1)
def _plugin_schemes():
    """Returns the schemes that tf.io.gfile opens, with those of tensorflow-io where it is."""
    quiet_tensorflow()
    import tensorflow as tf

    # The plugin has a variable of its own for what the vendor's tools read from these.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        os.environ.setdefault("S3_ENDPOINT", endpoint)
    with warnings.catch_warnings():  # of a library that does not load beside this TensorFlow
        warnings.simplefilter("ignore")
        with contextlib.suppress(ImportError, NotImplementedError, tf.errors.OpError):
            import tensorflow_io  # noqa: F401 - it registers the schemes

            _leave_out_destructors()
    return frozenset(tf.io.gfile.get_registered_schemes())


def _leave_out_destructors():
    """Ends the process right after Python has ended: the plugin's destructors would abort it."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc, which gives the handler the exit status
        libc.on_exit(libc._exit, None)


class Store:
    """A file or folder at an address; each method may raise what its library raises."""

    credentials_hint = ""

    def __init__(self, address):
        self.address = address

    def info(self) -> tuple[int, int] | None:
        """Returns bytes and ns of a file; None where there is none."""
        raise NotImplementedError

    def is_folder(self) -> bool:
        """Returns whether there is a folder."""
        raise NotImplementedError

    def entries(self) -> tuple[list[str], list[str]] | None:
        """Returns names of folders and of files; None where there is no folder."""
        raise NotImplementedError

    def files_below(self) -> list[str]:
        """Returns the paths of all files below, relative to the folder."""
        raise NotImplementedError

    def read(self) -> bytes:
        """Reads the file whole."""
        raise NotImplementedError

    def get(self, path: Path) -> None:
        """Copies the file to this machine."""
        raise NotImplementedError

    def put(self, path: Path) -> None:
        """Copies a file of this machine there, where it appears whole."""
        raise NotImplementedError

    def remove(self) -> None:
        """Removes the file."""
        raise NotImplementedError


class _FsspecStore(Store):
    def __init__(self, address, system, path):
        super().__init__(address)
        self._system, self._path = system, path.rstrip("/")
        if address.startswith("s3"):
            self.credentials_hint = S3_CREDENTIALS_HINT

    def info(self):
        self._system.invalidate_cache()
        try:
            found = self._system.info(self._path)
        except FileNotFoundError:
            return None
        except PermissionError:
            # S3 does not say there whether it is of the credentials or of this file; here it does.
            self._system.cat_file(self._path, start=0, end=1)
            raise
        if found["type"] == "directory":
            return None
        changed = found.get("LastModified") or found.get("mtime") or found.get("updated") or 0
        if hasattr(changed, "timestamp"):
            changed = changed.timestamp()
        seconds = changed if isinstance(changed, int | float) else 0
        return found.get("size") or 0, int(seconds * 1e9)

    def is_folder(self):
        self._system.invalidate_cache()
        return self._system.isdir(self._path)

    def entries(self):
        self._system.invalidate_cache()
        try:
            found = self._system.ls(self._path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return None
        folders, files = [], []
        for each in found:
            name = each["name"].rstrip("/")
            if name != self._path:  # an empty object that stands for the folder
                kind = folders if each["type"] == "directory" else files
                kind.append(name.rpartition("/")[2])
        return (folders, files) if found else None

    def files_below(self):
        self._system.invalidate_cache()
        try:
            found = self._system.find(self._path)
        except FileNotFoundError:
            return []
        start = f"{self._path}/"
        return [name[len(start) :] for name in found if name.startswith(start) and name != start]

    def read(self):
        return self._system.cat_file(self._path)

    def get(self, path):
        self._system.get_file(self._path, str(path))

    def put(self, path):
        if self.address.partition(SEPARATOR)[0] in OBJECT_STORES:
            self._system.put_file(str(path), self._path)
            return
        parent, _, name = self._path.rpartition("/")
        temporary = f"{parent}/.unfinished-{secrets.token_hex(4)}-{name}"
        self._system.makedirs(parent, exist_ok=True)
        try:
            self._system.put_file(str(path), temporary)
            self._system.mv(temporary, self._path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._system.rm_file(temporary)
            raise

    def remove(self):
        self._system.rm_file(self._path)


class _TensorFlowStore(Store):
    credentials_hint = " (GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login)"

    def info(self):
        with _tensorflow_errors() as gfile:
            if not gfile.exists(self.address) or gfile.isdir(self.address):
                return None
            found = gfile.stat(self.address)
            return found.length, found.mtime_nsec

    def is_folder(self):
        with _tensorflow_errors() as gfile:
            return gfile.isdir(self.address)

    def entries(self):
        with _tensorflow_errors() as gfile:
            if not gfile.isdir(self.address):
                return None
            names = gfile.listdir(self.address)
        folders = [
            name.rstrip("/")
            for name in names
            if name.endswith("/") or self._is_folder_without_slash(name)
        ]
        return folders, [name for name in names if name.rstrip("/") not in folders]

    def files_below(self):
        start = self.address.rstrip("/") + "/"
        with _tensorflow_errors() as gfile:
            if not gfile.isdir(self.address):
                return []
            return [
                f"{place.rstrip('/')}/{name}"[len(start) :]
                for place, _, names in gfile.walk(self.address)
                for name in names
            ]

    def read(self):
        with _tensorflow_errors() as gfile, gfile.GFile(self.address, "rb") as file:
            return file.read()

    def get(self, path):
        with _tensorflow_errors() as gfile:
            gfile.copy(self.address, str(path), overwrite=True)

    def put(self, path):
        parent, _, name = self.address.rpartition("/")
        with _tensorflow_errors() as gfile:
            if self.address.partition(SEPARATOR)[0] in OBJECT_STORES:
                gfile.copy(str(path), self.address, overwrite=True)
                return
            temporary = f"{parent}/.unfinished-{secrets.token_hex(4)}-{name}"
            gfile.makedirs(parent)
            try:
                gfile.copy(str(path), temporary, overwrite=True)
                gfile.rename(temporary, self.address, overwrite=True)
            except BaseException:
                with contextlib.suppress(Exception):
                    gfile.remove(temporary)
                raise

    def remove(self):
        with _tensorflow_errors() as gfile:
            gfile.remove(self.address)

    def _is_folder_without_slash(self, name):
        """Returns whether a name is a folder's; not all of its file systems mark these."""
        if self.address.startswith("gs"):
            return False
        with _tensorflow_errors() as gfile:
            return gfile.isdir(f"{self.address.rstrip('/')}/{name}")


class _PluginStore(_TensorFlowStore):
    """Files through tensorflow-io, whose plugins call everything that they cannot ask missing.

    Only reading says why, a refusal or a cut connection: where something seems to be missing,
    a byte is read.
    """

    credentials_hint = S3_CREDENTIALS_HINT

    def __init__(self, address):
        scheme, _, path = address.partition(SEPARATOR)
        super().__init__(address if "/" in path else f"{scheme}{SEPARATOR}{path}/")

    def info(self):
        found = super().info()
        if found is None and self._can_read(self.address) and not super().is_folder():
            raise TransferError("it could not be found, and could be read")
        return found

    def is_folder(self):
        found = super().is_folder()
        if not found:
            self._check_access()
        return found

    def entries(self):
        found = super().entries()
        if found is None:
            self._check_access()
        return found

    def files_below(self):
        found = super().files_below()
        if not found:
            self._check_access()
        return found

    def read(self):
        with contextlib.suppress(FileNotFoundError):
            return super().read()
        if self._can_read(self.address):
            raise TransferError("it could not be found, and could be read")
        raise FileNotFoundError(self.address)

    def _check_access(self):
        self._can_read(f"{self.address.rstrip('/')}/.none")

    def _can_read(self, address):
        """Returns whether there is a file; raises what keeps it from being read."""
        if address.endswith("/"):
            return False
        try:
            with _tensorflow_errors() as gfile, gfile.GFile(address, "rb") as file:
                file.read(1)
        except FileNotFoundError:
            return False
        return True


@contextlib.contextmanager
def _tensorflow_errors():
    """Gives tf.io.gfile, whose errors become those of Python."""
    quiet_tensorflow()
    import tensorflow as tf  # slow to import, and other files do not need it

    try:
        yield tf.io.gfile
    except tf.errors.NotFoundError as error:
        raise FileNotFoundError(error.message) from error
    except (tf.errors.PermissionDeniedError, tf.errors.UnauthenticatedError) as error:
        raise PermissionError(error.message) from error
    except tf.errors.OpError as error:
        raise TransferError(error.message or type(error).__name__) from error
