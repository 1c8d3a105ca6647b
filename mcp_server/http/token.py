"""The token that HTTP clients must show: made once, kept in a file of this user's, exchanged when somebody asks for it."""

import hmac
import secrets
from pathlib import Path

from adapters.errors import InvalidRequest
from adapters.files import write_whole
from adapters.places import config_folder

_BYTES = 32


def token_file() -> Path:
    return config_folder() / "http-token"


def make_token() -> str:
    """Return a new token, in place of any before: clients that hold the old one are refused from now on."""
    token = secrets.token_urlsafe(_BYTES)
    write_whole(token_file(), f"{token}\n".encode(), sync=True)
    return token


def read_token() -> str:
    """Return the token, made now if there is none.

    Raises InvalidRequest for a file that others may read, or that holds none.
    """
    path = token_file()
    try:
        mode, token = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return make_token()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} cannot be read ({error}); `mcp-server-mlx token --new` makes another") from error
    if mode & 0o077:
        raise InvalidRequest(f"{path} may be read by others; `mcp-server-mlx token --new` makes another that may not")
    if len(token) < _BYTES:
        raise InvalidRequest(f"{path} holds no token; `mcp-server-mlx token --new` makes one")
    return token


class TokenCheck:
    """Whether a request shows the token as it is now: one that was exchanged stops working at once."""

    def __init__(self) -> None:
        self._read: tuple[float, str] | None = None
        read_token()

    def __call__(self, authorization: bytes) -> bool:
        """Return whether this `Authorization` header holds the token; False as well when there is no token to hold."""
        scheme, _, shown = authorization.partition(b" ")
        try:
            return scheme.lower() == b"bearer" and hmac.compare_digest(shown.strip(), self._token().encode())
        except (InvalidRequest, OSError):
            return False

    def _token(self) -> str:
        changed = token_file().stat().st_mtime
        if self._read is None or self._read[0] != changed:
            self._read = changed, read_token()
        return self._read[1]
