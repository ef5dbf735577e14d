"""The table of `summary`, compared with what Keras 3.15 prints."""

from foliot.layers import LSTM, Dense, Dropout, Embedding, Flatten, Input, SimpleRNN
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
