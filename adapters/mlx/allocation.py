"""Telling that memory ran out from other errors of MLX."""

# Parts of what MLX says when a buffer cannot be had, and when a computation finds no room on the device.
_SIGNS = ("alloc", "out of memory", "insufficient memory")


def allocation_failed(error: BaseException) -> bool:
    """Return True when this error says that memory could not be had.

    MLX has no class for it: it raises a RuntimeError, such as "[malloc_or_wait] Unable to allocate 123 bytes.", so that
    only the words tell.
    """
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)
