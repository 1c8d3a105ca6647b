"""The optimisers that train the starter models: Muon for the weight matrices, AdamW for the rest."""
# pyright: reportMissingImports=false, reportUnknownMemberType=false

import torch
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Muon (K. Jordan, 2024) in float32: torch's own runs its Newton-Schulz steps in bfloat16, slow on a CPU."""

    def __init__(self, parameters: list[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # noqa: ARG002  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                by_shape.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in by_shape.items():
                # A batch without pictures gives the vision tower no gradient: its momentum carries it on.
                gradient = torch.stack([torch.zeros_like(p) if p.grad is None else p.grad for p in parameters])
                state = self.state[parameters[0]]
                average = state.setdefault("momentum", torch.zeros_like(gradient))
                average.lerp_(gradient, 1 - group["momentum"])
                update = _orthogonal(gradient.lerp(average, group["momentum"]))
                scale = group["lr"] * max(1, shape[0] / shape[1]) ** 0.5
                for parameter, change in zip(parameters, update, strict=True):
                    parameter.add_(change, alpha=-scale)


def _orthogonal(x: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrices [n, rows, columns], by five Newton-Schulz steps."""
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.transpose(1, 2) if tall else x


class Optimisers:
    """Muon for the weight matrices, AdamW for embeddings, convolutions and norms, at rates that share one schedule."""

    def __init__(self, model: nn.Module, matrices: float = 0.02, others: float = 3e-3) -> None:
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        by_muon = [p for n, p in named if p.ndim == 2 and "embed" not in n]
        self.by_adam = [p for n, p in named if p.ndim != 2 or "embed" in n]
        self._steppers = [
            Muon(by_muon, matrices),
            torch.optim.AdamW(self.by_adam, lr=others, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self._rates = [matrices, others]

    def step(self, part: float) -> None:
        """Move at `part` of the full rates, and forget the gradients."""
        for stepper, rate in zip(self._steppers, self._rates, strict=True):
            for group in stepper.param_groups:
                group["lr"] = rate * part
            stepper.step()
            stepper.zero_grad(set_to_none=True)


def learning_rate(progress: float, step: int) -> float:
    """The part of the full rate: 100 steps of warm-up, level to 30 %, then down to 2 % in a straight line."""
    return min(1.0, step / 100) * (1.0 if progress < 0.3 else max(0.02, (1 - progress) / 0.7))
