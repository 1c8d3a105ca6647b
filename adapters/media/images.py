"""Pictures as a vision model takes them: upright, in RGB, of a true format, of bounded size.

Nothing is decoded before its size is known. Only decoders of pictures are tried: Pillow also has some that run other
programs.
"""

import base64
import binascii
import contextlib
import functools
import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from adapters.errors import FileRefused
from adapters.files import open_file
from adapters.media.containers import container_of
from adapters.media.jpeg_end import with_end
from adapters.media.shades import bits_of, to_rgb
from adapters.protocol.content import is_address, is_data_uri

MOST_BYTES = 64 << 20
MOST_PIXELS = 100_000_000
# Larger pictures are scaled down to this before a model sees them: more costs minutes and tells little.
MOST_PIXELS_SEEN = 2_000_000
_DECODERS = ["PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"]
_READ = "PNG, JPEG, WebP, GIF, BMP, TIFF and, where a decoder is installed, HEIC are read"


@dataclass(frozen=True)
class Picture:
    """A picture in RGB, upright. `width` and `height` are the file's, `image` may be smaller.

    `digest` names its content.
    """

    image: Image.Image
    format: str
    width: int
    height: int
    digest: str
    animated: bool = False


def read_image(content: bytes, name: str, most_seen: int = MOST_PIXELS_SEEN) -> Picture:
    """Decode a picture; of an animated one, the first frame. `name` is what messages call it.

    Raises FileRefused when it is no picture, damaged, or too large.
    """
    if not content:
        raise FileRefused(f"{name} is empty; give a file with a picture in it")
    if len(content) > MOST_BYTES:
        raise FileRefused(f"{name} has {len(content)} bytes and a picture may have {MOST_BYTES}; scale it down")
    digest = hashlib.sha256(content).hexdigest()
    try:
        try:
            return _decoded(content, name, most_seen, digest)
        except OSError:
            mended = with_end(content)
            if mended is None:
                raise
            return _decoded(mended, name, most_seen, digest)
    except UnidentifiedImageError as error:
        raise FileRefused(f"{name} is not a picture: {_what_it_is(content)}. {_READ}") from error
    except Image.DecompressionBombError as error:
        raise FileRefused(
            f"{name} has too many pixels, over {MOST_PIXELS // 1_000_000} million ({error}); scale it down"
        ) from error
    except FileRefused:
        raise
    except Exception as error:  # decoders raise what they like on damaged data
        raise FileRefused(f"{name} is damaged ({str(error)[:200] or type(error).__name__}); save it again") from error


def _decoded(content: bytes, name: str, most_seen: int, digest: str) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged metadata, and of sizes that are checked here
        with Image.open(io.BytesIO(content), formats=_decoders()) as opened:
            _check_size(opened, name)
            kind, animated = opened.format or "unknown", bool(getattr(opened, "is_animated", False))
            opened.seek(0)
            width, height = opened.size
            if opened.getexif().get(ExifTags.Base.Orientation, 1) >= 5:  # lies on its side
                width, height = height, width
            opened.draft("RGB", _draft_size(opened, most_seen))
            bits = bits_of(opened)
            image = to_rgb(ImageOps.exif_transpose(opened), bits)
    return Picture(scaled(image, most_seen), kind, width, height, digest, animated)


def open_picture(source: str) -> Picture:
    """Read a picture from a data URI or from a file's resolved path. Raises FileRefused, for addresses as well."""
    if is_data_uri(source):
        return read_image(read_data_uri(source, "the data URI"), "the data URI")
    if is_address(source):
        raise FileRefused(f"{source[:200]} is an address, and none is fetched here; save the picture to a file")
    with open(open_file(Path(source), MOST_BYTES), "rb") as file:
        return read_image(file.read(MOST_BYTES + 1), source)


def read_data_uri(uri: str, name: str) -> bytes:
    """Return the bytes of a data URI, as programs write them: in lines, in the alphabet for addresses, without padding.

    Raises FileRefused when it is none of a picture.
    """
    head, comma, body = uri.partition(",")
    told = "".join(head.lower().split())
    if not comma or not told.startswith(("data:image/", "data:application/octet-stream")):
        raise FileRefused(f"{name} is not a data URI of a picture; it begins data:image/png;base64, and then the data")
    if len(body) > MOST_BYTES * 3 // 2:
        raise FileRefused(f"{name} has over {MOST_BYTES} bytes; scale the picture down")
    if not told.endswith(";base64"):
        return unquote_to_bytes(body)
    plain = (
        "".join(body.split()).replace("%3D", "=").replace("%3d", "=").replace("-", "+").replace("_", "/").rstrip("=")
    )
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise FileRefused(f"{name} is not base64 ({error}); encode the picture again") from error


def scaled(image: Image.Image, most_pixels: int) -> Image.Image:
    """Return the picture with at most so many pixels, in its proportions."""
    pixels = image.width * image.height
    if pixels <= most_pixels:
        return image
    factor = (most_pixels / pixels) ** 0.5
    size = max(1, int(image.width * factor)), max(1, int(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise FileRefused(
            f"{name} has {image.width} x {image.height} pixels and may have {MOST_PIXELS // 1_000_000} million; scale it down"
        )


def _draft_size(image: Image.Image, most_seen: int) -> tuple[int, int]:
    """A JPEG may be decoded at a half, a quarter or an eighth of its size, never below what is seen."""
    factor = max(1.0, (image.width * image.height / most_seen) ** 0.5)
    return int(image.width / factor), int(image.height / factor)


def _what_it_is(content: bytes) -> str:
    start = content[:1024].lstrip()
    if start.startswith((b"<svg", b"<?xml")) and b"<svg" in content[:4096]:
        return "it is an SVG drawing; export it as PNG"
    if start.startswith(b"%PDF"):
        return "it is a PDF; export its pages as PNG"
    if content[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        return "it is HEIC, which needs the package pillow-heif beside this server (pip install pillow-heif); or save it as JPEG"
    if container_of(content[:4096]) is not None:
        return "it is a video or sound; pass a video as `video`"
    try:
        content[:2048].decode("utf-8")
    except UnicodeDecodeError:
        return "its format is not known"
    return "it is text"


@functools.cache
def _decoders() -> list[str]:
    """Return those of the decoders that this installation has."""
    Image.init()
    with contextlib.suppress(ImportError):
        import pillow_heif  # pyright: ignore[reportMissingImports]

        pillow_heif.register_heif_opener()
    return [name for name in _DECODERS if name in Image.OPEN]
