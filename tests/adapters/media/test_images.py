"""Pictures: true formats, turned upright, bounded, and refused with the reason."""

import base64
import io
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from adapters.errors import FileRefused
from adapters.media.images import MOST_PIXELS_SEEN, open_picture, read_data_uri, read_image


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def square(size: tuple[int, int] = (40, 30), colour: str = "red") -> Image.Image:
    return Image.new("RGB", size, colour)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_is_known_by_its_content(kind: str) -> None:
    picture = read_image(encoded(square(), kind), "picture.xyz")
    assert (picture.format, picture.width, picture.height) == (kind, 40, 30)
    assert picture.image.mode == "RGB"
    red, green, blue = picture.image.resize((1, 1)).getpixel((0, 0))  # pyright: ignore[reportGeneralTypeIssues]
    assert red > 240
    assert green < 20
    assert blue < 20


def test_heic_is_read_where_its_decoder_is_there() -> None:
    import pillow_heif

    content = io.BytesIO()
    pillow_heif.from_pillow(square((64, 48))).save(content)
    picture = read_image(content.getvalue(), "IMG_0001.HEIC")
    assert (picture.format, picture.width, picture.height) == ("HEIF", 64, 48)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_shown_upright(orientation: int) -> None:
    lying = Image.new("RGB", (40, 20), "white")
    lying.paste((255, 0, 0), (0, 0, 10, 5))  # a corner that says where up is
    turned = lying
    # What a camera stores that was held so that this turns it back.
    back = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180], 4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_90], 7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }  # fmt: skip
    for step in back.get(orientation, []):
        turned = turned.transpose(step)
    exif = Image.Exif()
    exif[0x112] = orientation
    picture = read_image(encoded(turned, "PNG", exif=exif), "photo.png")
    assert (picture.width, picture.height) == (40, 20)
    assert picture.image.size == (40, 20)
    assert picture.image.getpixel((2, 2)) == (255, 0, 0)
    assert picture.image.getpixel((38, 18)) == (255, 255, 255)


def test_a_large_picture_is_scaled_down_and_says_how_large_it_was() -> None:
    picture = read_image(encoded(square((3000, 2000)), "JPEG"), "large.jpg")
    assert (picture.width, picture.height) == (3000, 2000)
    assert picture.image.width * picture.image.height <= MOST_PIXELS_SEEN
    assert picture.image.width / picture.image.height == pytest.approx(1.5, rel=0.01)


def test_a_transparent_picture_stands_on_white() -> None:
    assert read_image(encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)), "PNG"), "x").image.getpixel((4, 4)) == (
        255,
        255,
        255,
    )


def test_sixteen_bits_become_eight() -> None:
    grey = read_image(encoded(Image.new("I;16", (9, 9), 0x8000), "PNG"), "x").image.getpixel((4, 4))
    assert grey == (128, 128, 128)


def test_equal_files_have_equal_digests_and_others_do_not() -> None:
    one, same, other = (read_image(encoded(square(colour=c), "PNG"), "x") for c in ("red", "red", "blue"))
    assert one.digest == same.digest
    assert one.digest != other.digest


def test_an_animation_of_5000_frames_shows_its_first() -> None:
    frames = [Image.new("L", (16, 16), i % 250) for i in range(5000)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=20)
    began = time.monotonic()
    picture = read_image(content, "long.gif")
    assert picture.animated
    assert picture.format == "GIF"
    assert time.monotonic() - began < 5


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it has that many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"once upon a time", "it is text"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "SVG"),
        (b'<?xml version="1.0"?><svg/>', "SVG"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC|damaged"),
        (b"\0\0\0\x18ftypmp42" + bytes(100), "video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a picture|damaged"),
        (encoded(square((400, 400)), "PNG")[:200], "damaged"),
        (encoded(square((400, 400)), "JPEG")[:300], "damaged"),
        (bomb(40_000, 40_000), "too many pixels"),
        (bomb(15_000, 10_000), "15000 x 10000 pixels"),
        (bytes(range(256)) * 40, "not known"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture"),
    ],
    ids=["empty", "text", "svg", "svg-xml", "pdf", "heic", "video", "png-head", "png-cut", "jpeg-cut", "bomb", "small bomb", "noise", "eps"],
)  # fmt: skip
def test_what_is_no_picture_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(FileRefused, match=reason):
        read_image(content, "photo.png")


def test_a_data_uri_gives_its_bytes() -> None:
    content = encoded(square(), "PNG")
    uri = "data:image/png;base64," + base64.b64encode(content).decode()
    assert read_data_uri(uri, "it") == content


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/png;base64,@@@@",
        "data:text/plain;base64,aGVsbG8=",
        "data:image/png;base64",
        "data:image/png;base64,abcde",
    ],
)
def test_a_data_uri_that_is_none_is_refused(uri: str) -> None:
    with pytest.raises(FileRefused, match=r"data URI|base64"):
        read_data_uri(uri, "it")


def test_a_picture_is_opened_by_its_path_or_as_a_data_uri(tmp_path: Path) -> None:
    content = encoded(square(), "PNG")
    (tmp_path / "square.png").write_bytes(content)
    uri = "data:image/png;base64," + base64.b64encode(content).decode()
    assert open_picture(str(tmp_path / "square.png")).digest == open_picture(uri).digest


def test_a_picture_is_not_opened_through_a_link_nor_fetched(tmp_path: Path) -> None:
    (tmp_path / "square.png").write_bytes(encoded(square(), "PNG"))
    (tmp_path / "link.png").symlink_to(tmp_path / "square.png")
    with pytest.raises(FileRefused, match=r"link\.png cannot be opened"):
        open_picture(str(tmp_path / "link.png"))
    for address in ("http://example.com/a.png", "https://example.com/a.png"):
        with pytest.raises(FileRefused, match="is an address, and none is fetched here"):
            open_picture(address)


def disc(least: float, most: float, dtype: type) -> Image.Image:
    """A dark disc on a light ground, in values from `least` to `most`."""
    rows, columns = np.mgrid[:60, :60]
    return Image.fromarray(np.where((rows - 30) ** 2 + (columns - 30) ** 2 < 400, least, most).astype(dtype))


@pytest.mark.parametrize(
    ("least", "most", "dtype"),
    [
        (0, 2**31 - 1, np.int32), (-5000, 90_000, np.int32), (0, 255, np.int32), (0, 65535, np.uint16),
        (0.0, 1.0, np.float32), (0.0, 255.0, np.float32), (-3e8, 4e9, np.float32),
    ],
)  # fmt: skip
def test_values_of_any_width_are_shown_as_a_viewer_shows_them(least: float, most: float, dtype: type) -> None:
    image = read_image(encoded(disc(least, most, dtype), "TIFF"), "disc.tif").image
    assert image.getpixel((30, 30)) == (0, 0, 0)
    assert image.getpixel((1, 1)) == (255, 255, 255)


def test_shades_of_32_bits_without_a_sign_are_not_turned_over() -> None:
    image = read_image(encoded(disc(64_000_000, 4_187_483_648 - 2**32, np.int32), "TIFF"), "disc.tif").image
    assert image.getpixel((30, 30)) == (4, 4, 4)
    assert image.getpixel((1, 1)) == (249, 249, 249)


def test_values_that_are_no_numbers_are_dark() -> None:
    image = disc(float("nan"), 1.0, np.float32)
    assert read_image(encoded(image, "TIFF"), "disc.tif").image.getpixel((30, 30)) == (0, 0, 0)


@pytest.mark.parametrize(("colour", "ground"), [((255, 255, 255), 0), ((200, 20, 20), 255), ((0, 0, 0), 255)])
def test_what_is_transparent_is_laid_on_a_ground_on_which_the_rest_is_seen(
    colour: tuple[int, int, int], ground: int
) -> None:
    image = Image.new("RGBA", (20, 20), (255, 255, 255, 0))
    image.paste((*colour, 255), (5, 5, 15, 15))
    seen = read_image(encoded(image, "PNG"), "logo.png").image
    assert seen.getpixel((0, 0)) == (ground,) * 3
    assert seen.getpixel((10, 10)) == colour


def test_a_colour_profile_is_applied_and_a_damaged_one_left_out() -> None:
    # A profile by which the numbers of red mean blue.
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = swapped.replace(b"rXYZ", b"----", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"----", b"bXYZ", 1)
    applied = read_image(encoded(square(), "PNG", icc_profile=swapped), "p.png").image
    red, _, blue = applied.getpixel((5, 5))  # pyright: ignore[reportGeneralTypeIssues]
    assert (red < 20, blue > 240) == (True, True)
    damaged = read_image(encoded(square(), "PNG", icc_profile=b"no profile"), "p.png").image
    assert damaged.getpixel((5, 5)) == (255, 0, 0)


def test_a_jpeg_without_its_last_bytes_is_read_and_half_of_one_refused() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 300, 3), np.uint8))
    content = encoded(noise, "JPEG")
    for lost in (1, 2, 20):
        assert read_image(content[:-lost], "cut.jpg").image.size == (300, 400)
    with pytest.raises(FileRefused, match=r"cut\.jpg is damaged"):
        read_image(content[: len(content) // 2], "cut.jpg")


def test_data_uris_are_read_as_programs_write_them() -> None:
    content = encoded(square(), "PNG")
    plain = base64.b64encode(content).decode()
    for uri in (
        "data:image/png;base64," + base64.encodebytes(content).decode(),
        "data:image/png;base64, " + plain,
        "data:image/png;base64," + base64.urlsafe_b64encode(content).decode(),
        "data:image/png;base64," + plain.rstrip("="),
        "data:application/octet-stream;base64," + plain,
        "DATA:IMAGE/PNG;BASE64," + plain,
    ):
        assert open_picture(uri).format == "PNG"
    with pytest.raises(FileRefused, match="is not base64"):
        read_data_uri("data:image/png;base64,a*b", "it")
