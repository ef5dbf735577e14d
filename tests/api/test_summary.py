"""The table of `summary`, compared with what Keras 3.15 prints."""

import pytest

from foliot import Model
from foliot.layers import (
    GRU,
    LSTM,
    RNN,
    Attention,
    Bidirectional,
    Conv1D,
    Dense,
    Dot,
    Dropout,
    Embedding,
    Flatten,
    GRUCell,
    Input,
    LSTMCell,
    MultiHeadAttention,
    SimpleRNN,
    SimpleRNNCell,
    TimeDistributed,
)
from foliot.models import Sequential

BUILT = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ lstm (LSTM)                     │ (None, 5, 3)           │            72 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dropout (Dropout)               │ (None, 5, 3)           │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ flatten (Flatten)               │ (None, 15)             │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 2)              │            32 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 104 (416.00 B)
 Trainable params: 104 (416.00 B)
 Non-trainable params: 0 (0.00 B)
"""

UNBUILT = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ embedding (Embedding)           │ ?                      │   0 (unbuilt) │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ simple_rnn (SimpleRNN)          │ ?                      │   0 (unbuilt) │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 0 (0.00 B)
 Trainable params: 0 (0.00 B)
 Non-trainable params: 0 (0.00 B)
"""


# A model with two inputs, states, and a model inside that is called twice and shown with its layers.
CONNECTED = """\
Model: "functional"
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩
│ input_layer         │ (None, None, 4)   │          0 │ -                 │
│ (InputLayer)        │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ input_layer_1       │ (None, None, 5)   │          0 │ -                 │
│ (InputLayer)        │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ lstm (LSTM)         │ [(None, 3),       │         96 │ input_layer[0][0] │
│                     │ (None, 3), (None, │            │                   │
│                     │ 3)]               │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ lstm_1 (LSTM)       │ [(None, None, 3), │        108 │ input_layer_1[0]… │
│                     │ (None, 3), (None, │            │ lstm[0][1],       │
│                     │ 3)]               │            │ lstm[0][2]        │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ dense (Dense)       │ (None, None, 5)   │         20 │ lstm_1[0][0]      │
└─────────────────────┴───────────────────┴────────────┴───────────────────┘
 Total params: 224 (896.00 B)
 Trainable params: 224 (896.00 B)
 Non-trainable params: 0 (0.00 B)
"""

NESTED = [
    "│ z (InputLayer)      │ (None, 3)         │          0 │ -                 │",
    "│ seq (Sequential)    │ (None, 3)         │         12 │ z[0][0]           │",
    "│    └ d0 (Dense)     │ (None, 3)         │         12 │ -                 │",
    "│ inner (Functional)  │ [(None, 2),       │         11 │ seq[0][0],        │",
    "│                     │ (None, 1)]        │            │ z[0][0]           │",
    "│    └ a (InputLayer) │ (None, 3)         │          0 │ -                 │",
    "│    └ sh (Dense)     │ (None, 2)         │          8 │ -                 │",
    "│    └ p (Dense)      │ (None, 1)         │          3 │ -                 │",
    "│ out (Dense)         │ (None, 1)         │          3 │ inner[0][0]       │",
]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_connections(capsys) -> None:
    source, target = Input((None, 4)), Input((None, 5))
    _, h, c = LSTM(3, return_state=True)(source)
    decoder = LSTM(3, return_sequences=True, return_state=True)
    outputs, _, _ = decoder(target, initial_state=[h, c])
    model = Model([source, target], Dense(5, activation="softmax")(outputs))
    model.summary()
    assert capsys.readouterr().out == CONNECTED
    # Another model with the same layers shows its own connections.
    h, c = Input((3,)), Input((3,))
    outputs, *_ = decoder(target, initial_state=[h, c])
    lines: list[str] = []
    Model([target, h, c], outputs).summary(110, print_fn=lines.append)
    assert any("input_layer_2[0][0]" in line for line in lines)
    assert any("input_layer_3[0][0]" in line for line in lines)


def test_models_inside() -> None:
    first = Input((3,), name="a")
    hidden = Dense(2, name="sh")(first)
    inner = Model(first, [hidden, Dense(1, name="p")(hidden)], name="inner")
    entrance = Input((3,), name="z")
    u, v = inner(Sequential([Dense(3, name="d0")], name="seq")(entrance))
    model = Model(entrance, [Dense(1, name="out")(u), v, inner(entrance)[1]])
    lines: list[str] = []
    model.summary(print_fn=lines.append, expand_nested=True)
    assert [line for line in lines if line.startswith("│")] == NESTED
    lines.clear()
    model.summary(print_fn=lines.append)
    assert [line for line in lines if line.startswith("│")] == [line for line in NESTED if "└" not in line]


def test_a_functional_stack_needs_no_connections(capsys) -> None:
    entrance = Input((5, 2))
    Model(entrance, Dense(2)(LSTM(3)(entrance))).summary()
    assert "Connected" not in capsys.readouterr().out
    layer = Dense(2)
    entrance = Input((2,))
    Model(entrance, layer(layer(entrance))).summary()
    text = capsys.readouterr().out
    assert "input_layer_1[0]… │" in text
    assert "dense_1[0][0]" in text


def test_built(capsys) -> None:
    layers = [Input((5, 2)), LSTM(3, return_sequences=True), Dropout(0.2), Flatten(), Dense(2, "softmax")]
    Sequential(layers).summary()
    assert capsys.readouterr().out == BUILT


def test_unbuilt(capsys) -> None:
    Sequential([Embedding(20, 4), SimpleRNN(3)]).summary()
    assert capsys.readouterr().out == UNBUILT


def test_optimizer_is_counted_after_training(model, tokens) -> None:
    lines: list[str] = []
    model.fit(*tokens, verbose=0)
    model.summary(print_fn=lines.append)
    # 48 + 50 + 6 weights; RMSprop keeps one number for each, and its iteration and learning rate, as Keras counts.
    assert lines[-4:] == [
        " Total params: 210 (840.00 B)",
        " Trainable params: 104 (416.00 B)",
        " Non-trainable params: 0 (0.00 B)",
        " Optimizer params: 106 (424.00 B)",
    ]


def test_frozen_layers_and_units() -> None:
    lines: list[str] = []
    model = Sequential([Input((100,)), Dense(2000, name="frozen"), Dense(1)])
    model.layers[0].trainable = False
    model.summary(print_fn=lines.append)
    assert " Trainable params: 2,001 (7.82 KB)" in lines
    assert " Non-trainable params: 202,000 (789.06 KB)" in lines


def test_width_and_long_names() -> None:
    lines: list[str] = []
    model = Sequential([Input((4,)), Dense(1, name="a_name_that_is_far_too_long_for_one_cell_of_the_table")])
    model.summary(line_length=60, print_fn=lines.append)
    table = [line for line in lines if line[0] in "┏┃┡│├└"]
    assert {len(line) for line in table} == {60}
    assert sum("│" in line for line in table) > 1


def costs_of(model, **options) -> list[str]:
    """What `summary` prints beyond its table without sizes."""
    plain: list[str] = []
    lines: list[str] = []
    model.summary(print_fn=plain.append)
    model.summary(print_fn=lines.append, **options)
    assert lines[: len(plain)] == plain
    return lines[len(plain) :]


COSTS = """
 A batch of 2 and 7 time steps:
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━┳━━━━━━━━━━━━┓
┃ Layer (type)              ┃ Output Shape      ┃       FLOPs ┃    Outputs ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━╇━━━━━━━━━━━━┩
│ embedding (Embedding)     │ (2, 7, 5)         │           0 │   280.00 B │
├───────────────────────────┼───────────────────┼─────────────┼────────────┤
│ lstm (LSTM)               │ (2, 3)            │       2,688 │    24.00 B │
├───────────────────────────┼───────────────────┼─────────────┼────────────┤
│ dense (Dense)             │ (2, 4)            │          48 │    32.00 B │
└───────────────────────────┴───────────────────┴─────────────┴────────────┘
 FLOPs, forward: 2,736 (in products of matrices; training takes about three times as many)
"""


def test_costs() -> None:
    model = Sequential([Input((None,)), Embedding(9, 5), LSTM(3), Dense(4)])
    *lines, predicting, training = costs_of(model, batch_size=2, time=7)
    # 2 rows, 7 steps, 4 gates of 3 columns, 5 features and 3 states, two operations each.
    assert 2 * 7 * 4 * 3 * (5 + 3) * 2 == 2688
    assert lines == COSTS.rstrip("\n").split("\n")
    assert predicting.startswith(" Memory of a prediction: ")
    assert training.startswith(" Memory of a training step: ")


def test_costs_of_every_way_to_use_a_layer() -> None:
    def flops(model, **options) -> str:
        [line] = [line for line in costs_of(model, **options) if line.startswith(" FLOPs")]
        return line.split("(")[0].removeprefix(" FLOPs, forward:").strip()

    rnn = 2 * 6 * 2 * (3 + 2)
    assert flops(Sequential([Input((6, 3)), SimpleRNN(2)]), batch_size=1) == f"{rnn}"
    assert flops(Sequential([Input((6, 3)), GRU(2)]), batch_size=5) == f"{15 * rnn:,}"
    assert flops(Sequential([Input((6, 3)), Bidirectional(SimpleRNN(2))]), batch_size=1) == f"{2 * rnn}"
    assert flops(Sequential([Input((6, 3)), GRU(4, heads=2)]), batch_size=1) == f"{2 * 6 * 12 * (3 + 2):,}"
    projected = 2 * 6 * ((3 + 2) * 4 * 5 + 5 * 2)
    assert flops(Sequential([Input((6, 3)), LSTM(5, proj_size=2)]), batch_size=1) == f"{projected:,}"
    assert flops(Sequential([Input((6, 3)), TimeDistributed(Dense(4))]), batch_size=1) == f"{2 * 6 * 3 * 4}"
    assert flops(Sequential([Input((6, 3)), Conv1D(4, 2)]), batch_size=1) == f"{2 * 5 * 2 * 3 * 4}"
    assert flops(Sequential([Input((6, 3)), Conv1D(6, 2, groups=3)]), batch_size=1) == f"{2 * 5 * 2 * 6}"
    one, other = Input((4, 3)), Input((5, 3))
    assert flops(Model([one, other], Dot(2)([one, other])), batch_size=1) == f"{2 * 4 * 5 * 3}"
    cells = 2 * 6 * (4 * 2 * (3 + 2) + 3 * 2 * (2 + 2))
    assert flops(Sequential([Input((6, 3)), RNN([LSTMCell(2), GRUCell(2)])]), batch_size=1) == f"{cells}"
    assert flops(Sequential([Input((6, 3)), Bidirectional(RNN(SimpleRNNCell(2)))]), batch_size=1) == f"{2 * rnn}"
    assert flops(Model([one, other], Attention()([one, other])), batch_size=1) == f"{2 * 4 * 5 * (3 + 3)}"
    projected = 2 * 8 * (4 * 3 + 5 * 3 + 5 * 3 + 4 * 3)
    heads = MultiHeadAttention(2, 4)(one, other)
    assert flops(Model([one, other], heads), batch_size=1) == f"{projected + 2 * 4 * 5 * (8 + 8):,}"
    # Shared layers and models inside count each time.
    entrance, shared = Input((3,)), Dense(3)
    inner = Sequential([Input((3,)), Dense(3)])
    twice = Model(entrance, inner(inner(shared(shared(entrance)))))
    assert flops(twice, batch_size=1) == f"{4 * 2 * 9}"


def test_the_memory_is_what_a_plan_takes() -> None:
    def memory(model, **options) -> list[float]:
        units = {"B": 1.0, "KB": 1024.0, "MB": 1024.0**2}
        found = [line.split(": ")[1].split() for line in costs_of(model, **options)[-2:]]
        return [float(parts[0]) * units[parts[1]] for parts in found]

    model = Sequential([Input((None, 8)), LSTM(8, return_sequences=True), LSTM(8, return_sequences=True)])
    predicting, training = memory(model, batch_size=4, time=50)
    # The input and two sequences at a time for a prediction; training keeps all, with gates and gradients.
    assert 2 * 4 * 50 * 8 * 4 < predicting < training
    assert training > 3 * 4 * 50 * 8 * 4 + 2 * 4 * 50 * 32 * 4
    longer = memory(model, batch_size=4, time=100)
    assert longer[1] == pytest.approx(2 * training, rel=0.2)


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (Sequential([Dense(2)]), {"batch_size": 2}, ValueError, "`batch_size`: expected a model that is built"),
        (
            Sequential([Input((None, 2)), LSTM(2)]),
            {"batch_size": 2},
            ValueError,
            "`time`: expected an integer",
        ),
        (Sequential([Input((2,)), Dense(2)]), {"batch_size": 0}, ValueError, "`batch_size`"),
        (Sequential([Input((None, 2)), LSTM(2)]), {"time": 2.5}, TypeError, "`time`"),
    ],
)
def test_costs_that_cannot_be_known(model, options, error, message) -> None:
    with pytest.raises(error, match=message):
        model.summary(print_fn=lambda line: None, **options)


@pytest.mark.parametrize(
    ("make", "time", "times"),
    [
        (lambda: LSTM(2, checkpoint_every=4), 5, "three to four"),
        (lambda: LSTM(2, checkpoint_every=5), 5, "three"),
        (lambda: LSTM(2, checkpoint_every=9), 5, "three"),
        (lambda: LSTM(2, checkpoint_every="auto"), 3, "three to four"),
        (lambda: LSTM(2, checkpoint_every="auto"), 2, "three"),
        (lambda: LSTM(2, checkpoint_every="auto"), 1, "three"),
        (lambda: Bidirectional(LSTM(2, checkpoint_every=5)), 6, "three to four"),
        (lambda: Bidirectional(LSTM(2, checkpoint_every=6)), 6, "three"),
        (lambda: RNN([LSTMCell(2), LSTMCell(2)], checkpoint_every=5), 6, "three to four"),
    ],
)
def test_checkpoints_cost_where_there_are_steps_between_them(make, time, times) -> None:
    lines: list[str] = []
    model = Sequential([Input((None, 3)), make()])
    model.summary(print_fn=lines.append, batch_size=2, time=time)
    assert f"training takes about {times} times as many" in "\n".join(lines)
