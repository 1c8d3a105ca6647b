"""The Qwen3-VL vision tower in torch, with the parameter names of Hugging Face, and the numbers of its image processor."""
# pyright: reportMissingImports=false, reportUnknownMemberType=false

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from adapters.starter.recipes.decoder import Shape, rotate

Grid = tuple[int, int]  # rows and columns of patches
MROPE_SECTION = [6, 5, 5]


@dataclass(frozen=True)
class VisionShape:
    """The sizes of the tower and of the pictures that it takes."""

    patch: int = 8
    merge: int = 2
    positions: int = 8  # learned positions along one side
    width: int = 96
    depth: int = 4
    heads: int = 3
    out: int = 128
    least_pixels: int = 5000
    most_pixels: int = 6600

    def config(self) -> dict[str, Any]:
        """The `vision_config` of config.json."""
        return {
            "model_type": "qwen3_vl", "depth": self.depth, "hidden_size": self.width,
            "intermediate_size": 4 * self.width, "out_hidden_size": self.out, "num_heads": self.heads,
            "in_channels": 3, "patch_size": self.patch, "spatial_merge_size": self.merge, "temporal_patch_size": 2,
            "num_position_embeddings": self.positions**2, "deepstack_visual_indexes": [],
            "hidden_act": "gelu_pytorch_tanh", "initializer_range": 0.02,
        }  # fmt: skip

    def processor(self) -> dict[str, Any]:
        """What preprocessor_config.json says of a picture."""
        return {
            "do_resize": True, "size": {"shortest_edge": self.least_pixels, "longest_edge": self.most_pixels},
            "patch_size": self.patch, "temporal_patch_size": 2, "merge_size": self.merge,
            "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_rescale": True, "rescale_factor": 1 / 255,
            "do_normalize": True, "do_convert_rgb": True, "resample": 3, "processor_class": "Qwen3VLProcessor",
        }  # fmt: skip


def resized(height: int, width: int, shape: VisionShape) -> tuple[int, int]:
    """The height and width that Qwen's `smart_resize` gives: multiples of a token's side, within the pixel bounds."""
    side = shape.patch * shape.merge
    rows, columns = round(height / side) * side, round(width / side) * side
    if rows * columns > shape.most_pixels:
        factor = math.sqrt(height * width / shape.most_pixels)
        rows, columns = (max(side, math.floor(x / factor / side) * side) for x in (height, width))
    elif rows * columns < shape.least_pixels:
        factor = math.sqrt(shape.least_pixels / (height * width))
        rows, columns = (math.ceil(x * factor / side) * side for x in (height, width))
    return rows, columns


def patches(image: Image.Image, shape: VisionShape) -> tuple[np.ndarray, Grid]:
    """A picture's patches [patches, 3 * patch * patch] in the processor's order, and its grid."""
    height, width = resized(image.height, image.width, shape)
    pixels = image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BICUBIC)
    values = np.asarray(pixels, np.float32) / 127.5 - 1
    size, merge = shape.patch, shape.merge
    rows, columns = height // size, width // size
    tiles = values.transpose(2, 0, 1).reshape(3, rows // merge, merge, size, columns // merge, merge, size)
    return tiles.transpose(1, 4, 2, 5, 0, 3, 6).reshape(rows * columns, -1), (rows, columns)


@dataclass
class _Positions:
    """Where each patch of a grid stands: four corners of the learned grid with weights, and rotary angles."""

    corners: Tensor
    weights: Tensor
    cos: Tensor
    sin: Tensor


def _positions(grid: Grid, shape: VisionShape) -> _Positions:
    rows, columns = grid
    merge, last = shape.merge, shape.positions - 1
    tiled = (rows // merge, columns // merge, merge, merge)
    row = torch.arange(rows).view(rows // merge, 1, merge, 1).expand(tiled).reshape(-1)
    column = torch.arange(columns).view(1, columns // merge, 1, merge).expand(tiled).reshape(-1)
    y, x = torch.linspace(0, last, rows)[row], torch.linspace(0, last, columns)[column]
    top, left = y.long(), x.long()
    bottom, right = (top + 1).clamp(max=last), (left + 1).clamp(max=last)
    down, across = y - top, x - left
    corners = torch.stack([a * shape.positions + b for a in (top, bottom) for b in (left, right)])
    weights = torch.stack([a * b for a in (1 - down, down) for b in (1 - across, across)])
    half = shape.width // shape.heads // 2
    frequencies = 10_000 ** -(torch.arange(0, half, 2).float() / half)
    angles = torch.cat([row[:, None] * frequencies, column[:, None] * frequencies], -1).repeat(1, 2)
    return _Positions(corners, weights, angles.cos(), angles.sin())


class VisionBlock(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"linear_fc1": nn.Linear(width, 4 * width), "linear_fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        rows, length, width = x.shape
        split = self.attn["qkv"](self.norm1(x)).view(rows, length, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + self.attn["proj"](y.transpose(1, 2).reshape(rows, length, width))
        hidden = F.gelu(self.mlp["linear_fc1"](self.norm2(x)), approximate="tanh")
        return x + self.mlp["linear_fc2"](hidden)


class VisionTower(nn.Module):
    """Patches [images, patches, values] to one vector for each 2 by 2 patches [images, tokens, out]."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.shape, merged = shape, shape.width * shape.merge**2
        self.patch_embed = nn.ModuleDict({"proj": nn.Linear(3 * shape.patch**2, shape.width)})
        self.pos_embed = nn.Embedding(shape.positions**2, shape.width)
        nn.init.normal_(self.pos_embed.weight, std=0.02)
        self.blocks = nn.ModuleList(VisionBlock(shape) for _ in range(shape.depth))
        self.merger = nn.ModuleDict(
            {
                "norm": nn.LayerNorm(shape.width, eps=1e-6),
                "linear_fc1": nn.Linear(merged, merged),
                "linear_fc2": nn.Linear(merged, shape.out),
            }
        )
        self._known: dict[Grid, _Positions] = {}

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        at = self._known.get(grid) or self._known.setdefault(grid, _positions(grid, self.shape))
        learned = (self.pos_embed.weight[at.corners] * at.weights[..., None]).sum(0)
        x = self.patch_embed["proj"](x) + learned
        for block in self.blocks:
            x = block(x, at.cos, at.sin)
        merged = self.merger["norm"](x).reshape(x.shape[0], -1, self.shape.width * self.shape.merge**2)
        return self.merger["linear_fc2"](F.gelu(self.merger["linear_fc1"](merged)))

    def exported(self) -> dict[str, Tensor]:
        """The weights as a checkpoint has them: the patch projection is a convolution over two equal frames."""
        size = self.shape.patch
        weights = {f"model.visual.{name}": p.detach() for name, p in self.named_parameters()}
        name = "model.visual.patch_embed.proj.weight"
        frame = weights[name].view(self.shape.width, 3, 1, size, size) / 2
        weights[name] = torch.cat([frame, frame], 2)
        return weights


class MultimodalRope:
    """Rotary angles of Qwen3-VL: interleaved sections for time, row and column."""

    def __init__(self, shape: Shape) -> None:
        half = shape.head_dim // 2
        self.frequencies = shape.rope_theta ** -(torch.arange(0, shape.head_dim, 2).float() / shape.head_dim)
        self.axis = torch.zeros(half, dtype=torch.long)
        for axis in (1, 2):
            self.axis[axis : MROPE_SECTION[axis] * 3 : 3] = axis

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin [rows, 1, length, head] of positions [rows, 3, length]."""
        angles = (positions[:, self.axis].transpose(1, 2).float() * self.frequencies).repeat(1, 1, 2)[:, None]
        return angles.cos(), angles.sin()
