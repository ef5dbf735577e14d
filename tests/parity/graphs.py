"""Layer descriptions and a builder of graphs: the dictionaries that the native module, the oracle and the Keras bridge
all read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from oracle.cells import CELLS

Spec = dict[str, Any]

LINEAR: Spec = {"kind": "linear"}
TANH: Spec = {"kind": "tanh"}
SIGMOID: Spec = {"kind": "sigmoid"}
SOFTMAX: Spec = {"kind": "softmax"}

# Every activation with numbers away from their defaults, so that a number that is dropped shows.
ACTIVATIONS: list[Spec] = [
    {"kind": "linear"},
    {"kind": "tanh"},
    {"kind": "sigmoid"},
    {"kind": "relu", "negative_slope": 0.0, "max_value": None, "threshold": 0.0},
    {"kind": "relu", "negative_slope": 0.1, "max_value": 0.9, "threshold": 0.2},
    {"kind": "softmax"},
    {"kind": "elu", "alpha": 0.7},
    {"kind": "selu"},
    {"kind": "softplus"},
    {"kind": "softsign"},
    {"kind": "silu"},
    {"kind": "gelu", "approximate": False},
    {"kind": "gelu", "approximate": True},
    {"kind": "exponential"},
    {"kind": "hard_sigmoid"},
    {"kind": "hard_tanh"},
    {"kind": "hard_silu"},
    {"kind": "leaky_relu", "negative_slope": 0.3},
    {"kind": "relu6"},
    {"kind": "mish"},
    {"kind": "log_softmax"},
    {"kind": "log_sigmoid"},
    {"kind": "celu", "alpha": 0.6},
    {"kind": "tanh_shrink"},
    {"kind": "soft_shrink", "threshold": 0.3},
    {"kind": "hard_shrink", "threshold": 0.3},
    {"kind": "squareplus", "b": 3.0},
    {"kind": "sparse_plus"},
    {"kind": "threshold", "threshold": 0.1, "default_value": -0.4},
]
# With those of which there are no golden values: Keras's sparsemax is wrong.
ALL_ACTIVATIONS: list[Spec] = [*ACTIVATIONS, {"kind": "sparse_sigmoid"}, {"kind": "sparsemax"}]

# The four recurrent cells by the options that tell them apart.
CELL_KINDS: dict[str, Spec] = {
    "simple_rnn": {"kind": "simple_rnn"},
    "lstm": {"kind": "lstm"},
    "gru": {"kind": "gru", "reset_after": True},
    "gru_reset_before": {"kind": "gru", "reset_after": False},
}
# With those that Keras does not have.
ALL_CELLS: dict[str, Spec] = CELL_KINDS | {
    "lstm_peepholes": {"kind": "lstm", "use_peepholes": True},
    # Of a size, and as many, as `recurrent` chooses by the units.
    "lstm_projected": {"kind": "lstm", "proj_size": None},
    "simple_rnn_heads": {"kind": "simple_rnn", "heads": None},
    "lstm_heads": {"kind": "lstm", "heads": None},
    "gru_heads": {"kind": "gru", "reset_after": True, "heads": None},
    "gru_reset_before_heads": {"kind": "gru", "reset_after": False, "heads": None},
    # With a small epsilon two units are little more than their signs.
    "layer_norm_lstm": {"kind": "layer_norm_lstm", "norm_epsilon": 0.3},
    "layer_norm_gru": {"kind": "layer_norm_gru", "norm_epsilon": 0.3, "use_bias": False},
    "min_gru": {"kind": "min_gru"},
    "min_lstm": {"kind": "min_lstm"},
}


def recurrent(cell: str, units: int, **options: Any) -> Spec:
    """A recurrent layer with Keras's defaults, `cell` one of ALL_CELLS."""
    spec: Spec = {
        "units": units,
        "activation": TANH,
        "use_bias": True,
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "return_sequences": False,
        "return_state": False,
        "go_backwards": False,
        "zero_output_for_mask": False,
        "seed": 1,
        **ALL_CELLS[cell],
    }
    if spec["kind"] != "simple_rnn":
        spec["recurrent_activation"] = SIGMOID
    if cell == "lstm_projected":
        spec["proj_size"] = units // 2 + 1
    if "heads" in spec:
        spec["heads"] = next((heads for heads in (2, 3, 5, 7) if units % heads == 0), units)
    spec |= options
    if cell == "layer_norm_gru":
        spec["use_bias"] = False  # the shifts of its norms are biases
    if not CELLS[spec["kind"]].recurrent:
        spec["recurrent_dropout"] = 0.0  # there is no product to drop anything from
    return spec


def dense(units: int, activation: Spec = LINEAR, use_bias: bool = True) -> Spec:
    """A Dense layer."""
    return {"kind": "dense", "units": units, "activation": activation, "use_bias": use_bias}


def embedding(input_dim: int, output_dim: int, mask_zero: bool = False) -> Spec:
    """An Embedding layer."""
    return {"kind": "embedding", "input_dim": input_dim, "output_dim": output_dim, "mask_zero": mask_zero}


def states_of(spec: Spec) -> int:
    """How many states a recurrent layer carries."""
    return CELLS[spec["kind"]].states


def state_sizes(spec: Spec) -> list[int]:
    """The lengths of the states of a recurrent layer; the first is that of its output."""
    return CELLS[spec["kind"]](spec).sizes


def zoneout(cell: str, state: float, carry: float) -> Spec:
    """Zoneout of the output, and of c where there is one."""
    return {"zoneout": state} | ({"zoneout_cell": carry} if states_of(ALL_CELLS[cell]) > 1 else {})


@dataclass(frozen=True)
class Tensor:
    """An output of a node; `shape` is without the batch axis."""

    node: int
    index: int
    shape: tuple[int | None, ...]


@dataclass
class Graph:
    """Built node by node; `to_dict` is what programs are made of. Parameters get the names and shapes that Keras gives
    them."""

    nodes: list[Spec] = field(default_factory=list)
    parameters: list[Spec] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)

    def input(self, name: str, shape: Sequence[int | None], dtype: str = "float32", masked: bool = False) -> Tensor:
        """An input of the model."""
        layer = {"kind": "input", "dtype": dtype, "shape": list(shape), "masked": masked}
        self.nodes.append({"name": name, "layer": layer, "inputs": [], "parameters": []})
        return Tensor(len(self.nodes) - 1, 0, tuple(shape))

    def add(self, spec: Spec, *inputs: Tensor, name: str | None = None, **treatment: Spec) -> list[Tensor]:
        """A layer on `inputs`. `treatment` gives a parameter, by its name, a regularizer, a constraint or
        `trainable`."""
        name = name or f"{spec['kind']}_{len(self.nodes)}"
        features = inputs[0].shape[-1] if inputs[0].shape else None
        indices = []
        for role, shape in self._roles(spec, features).items():
            indices.append(len(self.parameters))
            self.parameters.append(
                {"trainable": True, "regularizer": None, "constraint": None} | treatment.get(role, {})
            )
            self.names.append(f"{name}/{role}")
            self.shapes.append(shape)
        edges = [[tensor.node, tensor.index] for tensor in inputs]
        self.nodes.append({"name": name, "layer": spec, "inputs": edges, "parameters": indices})
        shapes = self._output_shapes(spec, inputs[0].shape)
        return [Tensor(len(self.nodes) - 1, index, shape) for index, shape in enumerate(shapes)]

    @staticmethod
    def _roles(spec: Spec, features: int | None) -> dict[str, tuple[int, ...]]:
        kind = spec["kind"]
        if kind == "embedding":
            return {"embeddings": (spec["input_dim"], spec["output_dim"])}
        if kind not in ("dense", *CELLS):
            return {}
        assert features is not None
        units: int = spec["units"]
        if kind == "dense":
            return {"kernel": (features, units)} | ({"bias": (units,)} if spec["use_bias"] else {})
        width = CELLS[kind].gates * units
        roles: dict[str, tuple[int, ...]] = {"kernel": (features, width)}
        if CELLS[kind].recurrent:
            rows, heads = state_sizes(spec)[0], spec.get("heads", 1)
            roles["recurrent_kernel"] = (rows, width) if heads == 1 else (heads, rows // heads, width // heads)
        if spec["use_bias"]:
            roles["bias"] = (2, width) if spec.get("reset_after") else (width,)
        if spec.get("proj_size"):
            roles["projection_kernel"] = (units, spec["proj_size"])
        if spec.get("use_peepholes"):
            roles |= {f"{gate}_gate_peephole_weights": (units,) for gate in ("input", "forget", "output")}
        if kind.startswith("layer_norm"):
            roles |= {f"{name}_{role}": (width,) for name in ("kernel", "recurrent") for role in ("gamma", "beta")}
        if kind == "layer_norm_lstm":
            roles |= {f"state_{role}": (units,) for role in ("gamma", "beta")}
        return roles

    @staticmethod
    def _output_shapes(spec: Spec, shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
        kind = spec["kind"]
        if kind == "embedding":
            return [(*shape, spec["output_dim"])]
        if kind == "dense":
            return [(*shape[:-1], spec["units"])]
        if kind == "flatten":
            size = 1
            for axis in shape:
                assert axis is not None
                size *= axis
            return [(size,)]
        if kind in CELLS:
            sizes = state_sizes(spec)
            output: tuple[int | None, ...] = (sizes[0],)
            if spec["return_sequences"]:
                output = (shape[0], sizes[0])
            return [output, *((size,) for size in sizes if spec["return_state"])]
        return [shape]

    def to_dict(self) -> Spec:
        """The graph as the native module reads it."""
        return {
            "nodes": self.nodes,
            "outputs": [[tensor.node, tensor.index] for tensor in self.outputs],
            "parameters": self.parameters,
        }


def training(losses: Sequence[Spec], reduction: str = "sum_over_batch_size", **options: Any) -> Spec:
    """What a program is compiled with: one loss per output."""
    return {
        "losses": [{"loss": loss, "reduction": reduction} for loss in losses],
        "loss_weights": None,
        "metrics": [[] for _ in losses],
        "weighted_metrics": [[] for _ in losses],
    } | options


MEAN_SQUARED_ERROR: Spec = {"kind": "mean_squared_error"}


def binary_crossentropy(from_logits: bool = False, label_smoothing: float = 0.0) -> Spec:
    """Binary cross-entropy."""
    return {"kind": "binary_crossentropy", "from_logits": from_logits, "label_smoothing": label_smoothing}


def categorical_crossentropy(from_logits: bool = False, label_smoothing: float = 0.0) -> Spec:
    """Categorical cross-entropy."""
    return {"kind": "categorical_crossentropy", "from_logits": from_logits, "label_smoothing": label_smoothing}


def focal(kind: str, **options: Any) -> Spec:
    """A focal loss with Keras's defaults."""
    spec = {"kind": f"{kind}_focal_crossentropy", "alpha": 0.25, "gamma": 2.0, "from_logits": False}
    balanced = {"apply_class_balancing": False} if kind == "binary" else {}
    return spec | {"label_smoothing": 0.0} | balanced | options


# Those that no layer's test needs by name.
MORE_LOSSES: list[Spec] = [
    *(
        {"kind": kind}
        for kind in (
            "mean_absolute_percentage_error",
            "mean_squared_logarithmic_error",
            "log_cosh",
            "cosine_similarity",
            "poisson",
            "kl_divergence",
            "hinge",
            "squared_hinge",
            "categorical_hinge",
        )
    ),
    *({"kind": "huber", "delta": delta} for delta in (1.0, 0.3)),
    focal("binary"),
    focal("binary", from_logits=True, apply_class_balancing=True, gamma=1.5, label_smoothing=0.1),
    focal("categorical", gamma=3.0),
    focal("categorical", from_logits=True, alpha=0.7, label_smoothing=0.1),
    {"kind": "sparse_categorical_crossentropy", "from_logits": False, "ignore_class": 1},
]


def sparse_categorical_crossentropy(from_logits: bool = False) -> Spec:
    """Categorical cross-entropy with classes given as indices."""
    return {"kind": "sparse_categorical_crossentropy", "from_logits": from_logits}


_TAIL: Spec = {"decay": 0.0, "weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None}


def optimizer(kind: str, learning_rate: float, **options: Any) -> Spec:
    """An optimizer with Keras's defaults but for the learning rate."""
    own: dict[str, Spec] = {
        "sgd": {"momentum": 0.0, "nesterov": False},
        "rmsprop": {"rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
        "adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
        "adagrad": {"initial_accumulator_value": 0.1, "epsilon": 1e-7},
        "adadelta": {"rho": 0.95, "epsilon": 1e-7},
        "adamax": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "nadam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "ftrl": {
            "learning_rate_power": -0.5,
            "initial_accumulator_value": 0.1,
            "l1_regularization_strength": 0.0,
            "l2_regularization_strength": 0.0,
            "l2_shrinkage_regularization_strength": 0.0,
            "beta": 0.0,
        },
        "lion": {"beta_1": 0.9, "beta_2": 0.99},
        "lamb": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
        "schedule_free_adamw": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "warmup_steps": 0},
        "muon": {
            "adam_beta_1": 0.9,
            "adam_beta_2": 0.999,
            "adam_weight_decay": 0.004,
            "adam_lr_ratio": 1.0,
            "epsilon": 1e-7,
            "coefficients": [3.4445, -4.7750, 2.0315],
            "momentum": 0.95,
            "ns_steps": 5,
            "nesterov": True,
            "rms_rate": 0.2,
        },
        "adafactor": {"beta_2_decay": -0.8, "epsilon_1": 1e-30, "epsilon_2": 1e-3, "clip_threshold": 1.0},
    }
    return {"kind": kind, "learning_rate": learning_rate} | own[kind] | _TAIL | options
