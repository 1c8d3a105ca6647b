"""Whisper in torch, with the parameter names of Hugging Face, and its log-mel spectrogram."""
# pyright: reportMissingImports=false, reportUnknownMemberType=false

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

from adapters.starter.recipes.speech.tokenizer import CONTEXT

MELS, HOP, WINDOW = 80, 160, 400
FRAMES = 1500  # encoder frames of a window of 30 s
STAND_INS = 16
_FILTERS = torch.tensor(
    mel_filter_bank(201, MELS, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney"), dtype=torch.float32
)


def log_mel(samples: Tensor, frames: int) -> Tensor:
    """Whisper's features [rows, 80, frames] of zero-padded samples [rows, at least frames * 160 + 200]."""
    spectrum = torch.stft(samples, WINDOW, HOP, window=torch.hann_window(WINDOW), center=True, return_complex=True)
    mels = torch.einsum("bft,fm->bmt", spectrum[..., :frames].abs() ** 2, _FILTERS)
    logarithm = torch.clamp(mels, min=1e-10).log10()
    return (torch.maximum(logarithm, logarithm.amax((1, 2), keepdim=True) - 8.0) + 4.0) / 4.0


@dataclass(frozen=True)
class Shape:
    vocab_size: int
    width: int = 96
    heads: int = 2
    encoder_layers: int = 2
    decoder_layers: int = 2

    def config(self, end: int, start: int) -> dict[str, Any]:
        """The content of config.json."""
        return {
            "architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper",
            "vocab_size": self.vocab_size, "num_mel_bins": MELS, "d_model": self.width,
            "encoder_layers": self.encoder_layers, "encoder_attention_heads": self.heads,
            "decoder_layers": self.decoder_layers, "decoder_attention_heads": self.heads,
            "encoder_ffn_dim": 4 * self.width, "decoder_ffn_dim": 4 * self.width,
            "num_hidden_layers": self.encoder_layers, "max_source_positions": FRAMES,
            "max_target_positions": CONTEXT, "activation_function": "gelu", "dropout": 0.0,
            "attention_dropout": 0.0, "activation_dropout": 0.0, "is_encoder_decoder": True,
            "scale_embedding": False, "use_cache": True, "bos_token_id": end, "eos_token_id": end,
            "pad_token_id": end, "decoder_start_token_id": start, "torch_dtype": "float16",
            "tie_word_embeddings": True, "begin_suppress_tokens": None, "suppress_tokens": None,
        }  # fmt: skip


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor, source: Tensor, bias: Tensor | None = None, causal: bool = False) -> Tensor:
        rows, length, width = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(rows, -1, self.heads, width // self.heads).transpose(1, 2)

        q, k, v = split(self.q_proj(x)), split(self.k_proj(source)), split(self.v_proj(source))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal)
        return self.out_proj(y.transpose(1, 2).reshape(rows, length, width))


class EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn, self.self_attn_layer_norm = Attention(width, heads), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        y = self.self_attn_layer_norm(x)
        x = x + self.self_attn(y, y, bias)
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class DecoderLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn, self.self_attn_layer_norm = Attention(width, heads), nn.LayerNorm(width)
        self.encoder_attn, self.encoder_attn_layer_norm = Attention(width, heads), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, heard: Tensor, bias: Tensor | None) -> Tensor:
        y = self.self_attn_layer_norm(x)
        x = x + self.self_attn(y, y, causal=True)
        x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), heard, bias)
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


def _sinusoids(length: int, width: int) -> Tensor:
    steps = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * steps[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


class Encoder(nn.Module):
    """Features to encoder frames.

    A window of 30 s is mostly silence, and silent frames are all alike. In training the real frames are kept and 16
    silent ones, each with the attention weight of the many that it stands for.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.conv1 = nn.Conv1d(MELS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(FRAMES, width)
        self.embed_positions.weight.data = _sinusoids(FRAMES, width)
        self.embed_positions.weight.requires_grad = False
        self.layers = nn.ModuleList(EncoderLayer(width, shape.heads) for _ in range(shape.encoder_layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, mels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Frames [rows, frames, width], and the bias of their keys [1, 1, 1, frames] (None for a whole window)."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mels)))).transpose(1, 2)
        rows, length, width = x.shape
        position, bias = torch.arange(length), None
        if length < FRAMES - STAND_INS:
            length -= 2  # the last frames see the edge of the features
            silent = x[:, length - 1 : length].expand(rows, STAND_INS, width)
            x = torch.cat([x[:, :length], silent], 1)
            edges = torch.linspace(length, FRAMES - 1, STAND_INS + 1)
            drawn = (edges[:-1] + torch.rand(STAND_INS) * (edges[1:] - edges[:-1])).long()
            position = torch.cat([torch.arange(length), drawn])
            bias = torch.zeros(1, 1, 1, length + STAND_INS)
            bias[..., length:] = math.log((FRAMES - length) / STAND_INS)
        x = x + self.embed_positions.weight[position]
        for layer in self.layers:
            x = layer(x, bias)
        return self.layer_norm(x), bias


class Decoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.width)
        self.embed_positions = nn.Embedding(CONTEXT, shape.width)
        self.layers = nn.ModuleList(DecoderLayer(shape.width, shape.heads) for _ in range(shape.decoder_layers))
        self.layer_norm = nn.LayerNorm(shape.width)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        nn.init.normal_(self.embed_positions.weight, std=0.01)

    def forward(self, tokens: Tensor, heard: Tensor, bias: Tensor | None) -> Tensor:
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, heard, bias)
        return self.layer_norm(x)


class SpeechModel(nn.Module):
    """Whisper with tied embeddings. `letters` is told during training only: sounds first, then words."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"encoder": Encoder(shape), "decoder": Decoder(shape)})
        self.letters = nn.Linear(shape.width, 28)  # blank, space, a to z

    def forward(self, mels: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states [rows, length, width], and the encoder's frames without the stand-ins."""
        heard, bias = self.model["encoder"](mels)
        hidden = self.model["decoder"](tokens, heard, bias)
        return hidden, heard if bias is None else heard[:, : heard.shape[1] - STAND_INS]

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.model["decoder"].embed_tokens.weight)
