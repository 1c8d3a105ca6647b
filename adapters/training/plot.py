"""The losses of a training as a picture."""

from collections.abc import Sequence
from pathlib import Path

from adapters.protocol.training import LossPoint


def plot_losses(losses: Sequence[LossPoint], held_back: Sequence[LossPoint], title: str, path: Path) -> None:
    """Write a PNG with both curves over the iterations."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([one.iteration for one in losses], [one.loss for one in losses], label="trained on", color="#1f5fa8")
    if held_back:
        places, values = [one.iteration for one in held_back], [one.loss for one in held_back]
        axes.plot(places, values, label="held back", color="#d2691e", marker="o", markersize=3)
    axes.set_xlabel("iteration")
    axes.set_ylabel("loss a token")
    axes.set_title(title, fontsize=10)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Software": None})
