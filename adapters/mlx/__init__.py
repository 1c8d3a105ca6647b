"""All that touches MLX. Importing this package sets up the process for it, and must come before any import of `mlx`.

On Linux on the CPU, MLX compiles a shared library with g++ for every new fused kernel: seconds for each new sampling
temperature, where the plain kernels take milliseconds. So compilation is off there, unless MCP_SERVER_MLX_COMPILE is set.
"""

import os
import sys
from importlib import metadata


def _runs_on_cpu() -> bool:
    installed = {distribution.name for distribution in metadata.distributions()} if sys.platform == "linux" else set()
    return sys.platform == "linux" and not installed & {"mlx-cuda-12", "mlx-cuda-13"}


if _runs_on_cpu() and not os.environ.get("MCP_SERVER_MLX_COMPILE"):
    os.environ.setdefault("MLX_DISABLE_COMPILE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
