"""A picture's values as a viewer shows them: in RGB of eight bits, on a ground, in the colours that it means."""

import io
import logging

import numpy as np
from PIL import Image, ImageCms

logger = logging.getLogger(__name__)

_BITS_PER_SAMPLE = 258  # TIFF 6.0, section 8
# From this mean brightness on, what can be seen would be lost on white.
_LIGHT = 200
# Numbers with a sign up to this measure something, such as a height. Beyond it they are shades of 32 bits, which programs
# store without a sign whatever the file says of them.
_MOST_MEASURED = 1 << 24


def bits_of(image: Image.Image) -> int | None:
    """Return the bits of a value, where the file says it: a TIFF may have twelve."""
    told = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE)
    return int(told[0] if isinstance(told, tuple) else told) if told else None


def to_rgb(image: Image.Image, bits: int | None = None) -> Image.Image:
    """Return the picture in RGB. `bits` are those of one value of the file, where they are known."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image), bits)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        seen_through = image.convert("RGBA")
        coloured = _in_srgb(seen_through.convert("RGB"), image.info.get("icc_profile"))
        coloured.putalpha(seen_through.getchannel("A"))
        ground = Image.new("RGBA", coloured.size, (0, 0, 0, 255) if _is_light(coloured) else (255, 255, 255, 255))
        return Image.alpha_composite(ground, coloured).convert("RGB")
    return _in_srgb(image, image.info.get("icc_profile"))


def _eight_bits(values: np.ndarray, bits: int | None) -> np.ndarray:
    """Return values from 0 to 255: of what the type holds, or, where that is no range of shades, from least to most."""
    if values.dtype == np.int32 and values.min() < 0 and np.abs(values.astype(np.int64)).max() > _MOST_MEASURED:
        values = values.astype(np.int32).view(np.uint32)
        return (values / (0xFFFFFFFF / 255)).round().astype(np.uint8)
    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        shades = values.astype(np.float64)
    else:
        finite, shades = values.ravel(), values.astype(np.float64)
    least, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if values.dtype.kind == "f" and least >= 0 and most <= 1:
        least, most = 0.0, 1.0
    elif least >= 0 and most <= 255:
        least, most = 0.0, 255.0
    elif values.dtype.kind != "f" and least >= 0 and most <= 65535:
        least, most = 0.0, 4095.0 if bits == 12 else 65535.0
    shades = np.nan_to_num(shades, nan=least, posinf=most, neginf=least)
    return np.clip((shades - least) * (255 / max(most - least, 1e-300)), 0, 255).round().astype(np.uint8)


def _is_light(image: Image.Image) -> bool:
    """Return whether what can be seen of a picture with holes in it is light."""
    opacity = np.asarray(image.getchannel("A"), np.float64)
    if opacity.min() > 250 or not opacity.sum():
        return False
    brightness = np.asarray(image.convert("RGB").convert("L"), np.float64)
    return float((brightness * opacity).sum() / opacity.sum()) > _LIGHT


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the picture in RGB, with the colours that its profile says its numbers mean."""
    if profile and image.mode in ("RGB", "L", "CMYK"):
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            found = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if found is not None:
                return found
        except (ImageCms.PyCMSError, OSError, ValueError) as error:
            logger.warning("error=<%s> | a picture's colour profile is damaged, and is left out", error)
    return image.convert("RGB")
