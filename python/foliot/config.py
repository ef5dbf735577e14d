"""Settings of the library."""

from foliot import _core
from foliot._checks import check_integer
from foliot._devices import get_device, set_device

__all__ = [
    "available_isas",
    "build_info",
    "epsilon",
    "floatx",
    "get_device",
    "get_num_threads",
    "isa",
    "set_device",
    "set_num_threads",
]


def set_num_threads(n: int) -> None:
    """Sets how many threads compute. Results do not depend on it.

    Args:
        n: At least 1. The start value is the number of processors that the process may use, or `FOLIOT_NUM_THREADS`.

    Example:
        >>> import foliot
        >>> before = foliot.config.get_num_threads()
        >>> foliot.config.set_num_threads(1)
        >>> foliot.config.get_num_threads()
        1
        >>> foliot.config.set_num_threads(before)
    """
    _core.set_num_threads(check_integer("n", n, minimum=1))


def get_num_threads() -> int:
    """How many threads compute.

    Example:
        >>> import foliot
        >>> foliot.config.get_num_threads() >= 1
        True
    """
    return _core.get_num_threads()


def isa() -> str:
    """The instruction set in use: `avx512`, `avx2`, `neon` or `portable`; `FOLIOT_ISA` chooses another.

    Example:
        >>> import foliot
        >>> foliot.config.isa() in foliot.config.available_isas()
        True
    """
    return _core.isa()


def available_isas() -> list[str]:
    """The instruction sets that this machine could use, the best last.

    Example:
        >>> import foliot
        >>> foliot.config.available_isas()[0]
        'portable'
    """
    return _core.available_isas()


def build_info() -> dict[str, str]:
    """How the native module was built.

    Example:
        >>> import foliot
        >>> foliot.config.build_info()["version"] == foliot.__version__
        True
    """
    return _core.build_info()


def floatx() -> str:
    """The type of weights and outputs, always `float32`.

    Example:
        >>> import foliot
        >>> foliot.config.floatx()
        'float32'
    """
    return "float32"


def epsilon() -> float:
    """Keras's small number, by which losses and optimizers keep away from division by zero.

    Example:
        >>> import foliot
        >>> foliot.config.epsilon()
        1e-07
    """
    return 1e-7
