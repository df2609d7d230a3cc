"""Synthesisable Verilog of a code's encoder and decoder, and of a bank of codecs.

Plain Verilog-2001, combinational.  Words are ``{check bits, data bits}``, data bit 0 at bit 0, the order of ``Code``.
Decoders: one comparator per column (single-error correction), roots of the error locator evaluated in parallel (BCH
with t = 2, 3), majority (repetition), else a case table of the syndrome (up to 14 check bits).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qtaml_hw.ecc.code import Code
from qtaml_hw.ecc.finite_field import PRIMITIVE, Field, field
from qtaml_hw.ecc.linear import LinearCode

CASE_LIMIT = 14


def identifier(code: Code) -> str:
    """The code's name as a Verilog identifier."""
    return re.sub(r"\W", "_", code.name)


def _xor(signal: str, width: int, picks: NDArray[np.intp]) -> str:
    """XOR of some bits of a signal, as a masked reduction (quick to simulate, the same gates after synthesis)."""
    mask = sum(1 << int(i) for i in picks)
    return f"^({signal} & {width}'h{mask:x})"


def _combinational(code: Code) -> LinearCode:
    if not isinstance(code, LinearCode):
        raise ValueError(f"{code.name} is decoded block by block over many cycles: no combinational codec is written")
    return code


def encoder(code: Code) -> str:
    """Module ``<name>_encoder(data, word)``; ValueError for a code of long blocks."""
    matrix = _combinational(code)
    lines = [
        f"module {identifier(code)}_encoder (input wire [{code.k - 1}:0] data, output wire [{code.n - 1}:0] word);",
        f"  assign word[{code.k - 1}:0] = data;",
    ]
    lines += [
        f"  assign word[{code.k + i}] = {_xor('data', code.k, np.nonzero(matrix.parity_matrix[:, i])[0])};"
        for i in range(code.parity)
    ]
    return "\n".join([*lines, "endmodule", ""])


def decoder(code: Code) -> str:
    """Module ``<name>_decoder(word, data, corrected, uncorrectable)`` under the code's policy and rule.

    The ``reload`` policy passes the word raw and leaves the reload to whoever reads ``uncorrectable``.
    ValueError for a code whose combinational decoder is not offered (BCH with t > 3, long blocks).
    """
    matrix = _combinational(code)
    if code.family == "repetition":
        body = _majority(matrix)
    elif code.t <= 1:
        body = _comparators(matrix)
    elif code.family in ("bch", "dected") and code.t <= 3:
        body = _locator(matrix)
    elif code.parity <= CASE_LIMIT:
        body = _case_table(matrix)
    else:
        raise ValueError(
            f"{code.name} corrects {code.t} errors with {code.parity} check bits; combinational decoders are emitted "
            f"for t <= 3 or up to {CASE_LIMIT} check bits"
        )
    out = "word[K-1:0] ^ flip[K-1:0]"
    if code.policy == "zero":
        out = f"uncorrectable ? {{K{{1'b0}}}} : ({out})"
    return "\n".join(
        [
            f"module {identifier(code)}_decoder (input wire [{code.n - 1}:0] word, output wire [{code.k - 1}:0] data,",
            "  output wire corrected, output wire uncorrectable);",
            f"  localparam K = {code.k};",
            f"  localparam N = {code.n};",
            *body,
            f"  assign data = {out};",
            "endmodule",
            "",
        ]
    )


def _syndrome(code: LinearCode) -> list[str]:
    lines = [f"  wire [{code.parity - 1}:0] syndrome;"]
    return lines + [
        f"  assign syndrome[{i}] = {_xor('word', code.n, np.nonzero(code.check_matrix[i])[0])};"
        for i in range(code.parity)
    ]


def _comparators(code: LinearCode) -> list[str]:
    lines = [*_syndrome(code), "  wire [N-1:0] flip;"]
    columns = code.columns[:, 0].tolist()
    lines += [
        f"  assign flip[{j}] = " + (f"syndrome == {code.parity}'h{h:x};" if code.t else "1'b0;")
        for j, h in enumerate(columns)
    ]
    if code.rule == "odd-syndrome":
        return [*lines, "  assign corrected = ^syndrome;", "  assign uncorrectable = (|syndrome) & ~(^syndrome);"]
    return [*lines, "  assign corrected = |flip;", "  assign uncorrectable = (|syndrome) & ~(|flip);"]


def _majority(code: LinearCode) -> list[str]:
    width = code.n.bit_length()
    return [
        *_counter(code.n),
        f"  wire majority = ones(word) > {width}'d{code.n // 2};",
        "  wire [N-1:0] flip = word ^ {N{majority}};",
        "  assign corrected = |flip;",
        "  assign uncorrectable = 1'b0;",
    ]


def _case_table(code: LinearCode) -> list[str]:
    table = code.cosets
    lines = [
        *_syndrome(code),
        "  reg [N-1:0] flip;",
        "  reg good;",
        "  always @* begin",
        "    good = 1'b1;",
        "    case (syndrome)",
    ]
    for s in np.nonzero(table.status < 2)[0].tolist():
        mask = sum(1 << int(at) for at in table.positions[s] if at >= 0)
        lines.append(f"      {code.parity}'h{s:x}: flip = {code.n}'h{mask:x};")
    lines += ["      default: begin flip = {N{1'b0}}; good = 1'b0; end", "    endcase", "  end"]
    return [*lines, "  assign corrected = good & (|syndrome);", "  assign uncorrectable = ~good;"]


# ---- algebraic decoders: roots of the locator among the word's positions, all evaluated at once


def _power_sum(code: LinearCode, gf: Field, power: int) -> list[str]:
    """S_power = sum over received bits of alpha^(power * degree), one XOR tree per field bit."""
    values = gf.exp[(code.degrees * power) % gf.order]
    lines = [f"  wire [{gf.m - 1}:0] s{power};"]
    return lines + [
        f"  assign s{power}[{b}] = {_xor('word', code.n, np.nonzero((values >> b) & 1)[0])};" for b in range(gf.m)
    ]


def _mask(gf: Field, constants: list[int], bit: int) -> int:
    """Which bits of the coefficients {.., a1, a0} XOR to bit ``bit`` of sum constants[i] * a_i (constant factors are
    linear)."""
    mask = 0
    for i, constant in enumerate(constants):
        images = [int(gf.exp[gf.log[constant] + j]) for j in range(gf.m)]
        mask |= sum(1 << (i * gf.m + j) for j in range(gf.m) if (images[j] >> bit) & 1)
    return mask


def _counter(n: int) -> list[str]:
    """Function ``ones``: a balanced adder tree, so that its delay grows with log n."""
    width = n.bit_length()
    terms = [f"bits[{i}]" for i in range(n)]
    while len(terms) > 1:
        pairs = [f"({a} + {b})" for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(pairs) * 2 :]
    return [f"  function [{width - 1}:0] ones(input [{n - 1}:0] bits);", f"    ones = {terms[0]};", "  endfunction"]


def _multiplier(gf: Field) -> list[str]:
    m, poly = gf.m, PRIMITIVE[gf.m] & (2**gf.m - 1)
    return [
        f"  function [{m - 1}:0] gmul(input [{m - 1}:0] a, input [{m - 1}:0] b);",
        "    integer i;",
        f"    reg [{m - 1}:0] t;",
        "    begin",
        f"      gmul = {m}'d0;",
        "      t = a;",
        f"      for (i = 0; i < {m}; i = i + 1) begin",
        "        if (b[i]) gmul = gmul ^ t;",
        f"        t = {{t[{m - 2}:0], 1'b0}} ^ (t[{m - 1}] ? {m}'h{poly:x} : {m}'d0);",
        "      end",
        "    end",
        "  endfunction",
    ]


def _locator(code: LinearCode) -> list[str]:
    gf = field(code.n.bit_length())
    m, width = gf.m, code.n.bit_length()
    lines = _multiplier(gf) + [line for power in range(1, 2 * code.t, 2) for line in _power_sum(code, gf, power)]
    wire = f"  wire [{m - 1}:0]"
    lines += [f"{wire} square = gmul(s1, s1);", f"{wire} cube_gap = gmul(square, s1) ^ s3;"]
    if code.t == 2:  # S1 X^2 + S1^2 X + (S1^3 + S3) = 0
        coefficients = ["cube_gap", "square", "s1"]
        lines += [
            "  wire single = ~(|cube_gap);",
            "  wire live = |s1;",
            f"  wire [{width - 1}:0] expected = single ? 1 : 2;",
        ]
    else:  # D X^3 + D S1 X^2 + N X + (D^2 + S1 N) = 0, D = S1^3 + S3, N = S1^2 S3 + S5; D = 0: one error, X = S1
        coefficients = ["a0", "a1", "a2", "cube_gap"]
        lines += [
            f"{wire} n5 = gmul(square, s3) ^ s5;",
            f"{wire} c = gmul(cube_gap, cube_gap) ^ gmul(s1, n5);",
            f"{wire} fifth_gap = gmul(gmul(square, square), s1) ^ s5;",
            "  wire single = ~(|cube_gap);",
            f"{wire} a2 = gmul(cube_gap, s1);",
            f"{wire} a1 = single ? {m}'d1 : n5;",
            f"{wire} a0 = single ? s1 : c;",
            "  wire live = single ? ((|s1) & ~(|fifth_gap)) : 1'b1;",
            f"  wire [{width - 1}:0] expected = single ? 1 : (|c) ? 3 : 2;",
        ]
    total = m * len(coefficients)
    lines += [
        *_counter(code.n),
        f"  wire [{total - 1}:0] locator = {{{', '.join(reversed(coefficients))}}};",
        "  wire [N-1:0] root;",
    ]
    for position, degree in enumerate(code.degrees.tolist()):
        constants = [int(gf.exp[power * degree % gf.order]) for power in range(len(coefficients))]
        bits = [f"(^(locator & {total}'h{_mask(gf, constants, b):x}))" for b in range(m)]
        lines.append(f"  assign root[{position}] = ~({' | '.join(bits)});")
    any_syndrome = " | ".join(f"(|s{power})" for power in range(1, 2 * code.t, 2))
    agrees = "1'b1"
    if code.family == "dected":  # the overall parity tells one error from two
        lines.append("  wire odd = ^word;")
        any_syndrome, agrees = f"odd | {any_syndrome}", "(odd == single)"
    return [
        *lines,
        f"  wire [{width - 1}:0] found = ones(root);",
        f"  wire good = live & {agrees} & (found == expected);",
        "  wire [N-1:0] flip = good ? root : {N{1'b0}};",
        "  assign corrected = good;",
        f"  assign uncorrectable = ({any_syndrome}) & ~good;",
    ]


def bank(codes: Sequence[Code], name: str = "codec_bank") -> str:
    """The codecs of several codes (such as ``ProtectionPlan.codes``), and a top module ``name`` with one of each.

    ValueError without a code, or for one without a combinational decoder.
    """
    if not codes:
        raise ValueError("no code is in use, so there is no codec to emit")
    ports: list[str] = []
    body: list[str] = []
    for code in codes:
        tag = identifier(code)
        ports += [
            f"input wire [{code.k - 1}:0] {tag}_write_data",
            f"output wire [{code.n - 1}:0] {tag}_write_word",
            f"input wire [{code.n - 1}:0] {tag}_read_word",
            f"output wire [{code.k - 1}:0] {tag}_read_data",
            f"output wire {tag}_corrected",
            f"output wire {tag}_uncorrectable",
        ]
        body += [
            f"  {tag}_encoder {tag}_enc (.data({tag}_write_data), .word({tag}_write_word));",
            f"  {tag}_decoder {tag}_dec (.word({tag}_read_word), .data({tag}_read_data),",
            f"    .corrected({tag}_corrected), .uncorrectable({tag}_uncorrectable));",
        ]
    top = [f"module {name} (", "  " + ",\n  ".join(ports), ");", *body, "endmodule", ""]
    return "\n".join([text for code in codes for text in (encoder(code), decoder(code))] + ["\n".join(top)])
