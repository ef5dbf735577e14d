"""The command `foliot`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import foliot
from foliot import _core
from foliot.examples import sentiment

# Each as a shell reports it: 2 for wrong use or input, 128 + 2 for an interrupt (SIGINT), 128 + 13 for SIGPIPE.
_WRONG_INPUT = 2
_INTERRUPTED = 130
_NO_READER = 141


class _Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line, as every other error."""

    def error(self, message: str) -> NoReturn:
        self.exit(_WRONG_INPUT, f"foliot: error: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: What follows the command's name. `None` takes it from `sys.argv`.

    Returns:
        The exit code: 0, 2 for wrong options or input, 130 when interrupted.

    Raises:
        SystemExit: With the same codes, by `--help`, `--version` and wrong options.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a letter of a review is no reason to stop.
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        # Here, so that a reader that has gone is noticed before Python itself flushes at exit.
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nfoliot: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    except (ValueError, ModuleNotFoundError) as error:
        return _fail(str(error))
    return 0


def _fail(message: str) -> int:
    print(f"foliot: error: {' '.join(message.split())}", file=sys.stderr)
    return _WRONG_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="foliot", description="Recurrent neural networks with Keras's API and a fast Rust core.")
    parser.add_argument("--version", action="version", version=f"foliot {foliot.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    demo = commands.add_parser("demo", help="train a model and show it working")
    demos = demo.add_subparsers(required=True, metavar="DEMO", title="demos")
    about = "tell favourable film reviews from unfavourable ones"
    command = demos.add_parser("sentiment", help=about, description=f"Trains a network to {about}.")
    sentiment.add_arguments(command)
    command.set_defaults(run=sentiment.run)

    command = commands.add_parser("devices", help="print the GPUs that models can run on")
    command.set_defaults(run=_devices)

    command = commands.add_parser("info", help="print how foliot was built and what it runs on")
    command.set_defaults(run=_info)
    return parser


def _devices(_options: argparse.Namespace) -> None:
    there = foliot.devices()
    if not there:
        print("no devices: neither a driver for Vulkan, Metal or D3D12 nor a software device; models run on the CPU")
    for device in there:
        print(f"gpu:{device.index}  {device.name}")
        rows = {"type": device.type, "api": device.api, "driver": device.driver}
        rows |= {name: f"{value:,}" for name, value in device.limits.items()}
        rows["features"] = ", ".join(device.features) or "none"
        width = max(map(len, rows))
        for name, value in rows.items():
            print(f"    {name:<{width}}  {value}")


def _info(_options: argparse.Namespace) -> None:
    rows = {
        "foliot": foliot.__version__,
        **{name: value for name, value in _core.build_info().items() if name != "version"},
        "instruction set": _core.isa(),
        "available": ", ".join(_core.available_isas()),
        "threads": str(_core.get_num_threads()),
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


if __name__ == "__main__":
    sys.exit(main())
