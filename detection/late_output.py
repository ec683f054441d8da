"""Splits a network in two, so that one costly output is only made when somebody asks for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


def split(content: bytes, late: int) -> tuple[bytes, bytes]:
    """Cut what only one output needs out of a network.

    Args:
        content: Of a .tflite file with one graph.
        late: Position of the output among the network's outputs.

    Returns:
        A network of the other outputs, in their order, followed by what the second one takes; and the second network,
        whose output is the late one. Both do with the same numbers what the whole one does.
    """
    network = _read(content)
    graph = network.subgraphs[0]
    whole = Whole(graph.operators, [buffer.data for buffer in network.buffers])
    outputs = [int(tensor) for tensor in graph.outputs]
    last = outputs.pop(late)
    kept = _needed(whole.operators, outputs)
    cut = _needed(whole.operators, [last]) - kept
    made = {int(tensor) for row in kept for tensor in whole.operators[row].outputs}
    taken = {int(tensor) for row in cut for tensor in whole.operators[row].inputs}
    between = sorted(made & taken)
    first = _part(network, whole, kept, [*map(int, graph.inputs)], [*outputs, *between])
    return first, _part(network, whole, cut, between, [last])


@dataclass(frozen=True)
class Whole:
    """What a network holds before parts are made of it."""

    operators: list[Any]
    weights: list[Any]
    """Of each buffer."""


def _read(content: bytes) -> Any:
    # The schema is half a megabyte of code, which other detectors have no use for.
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def _needed(operators: Sequence[Any], outputs: Iterable[int]) -> set[int]:
    """Rows of the operations without which the outputs cannot be made."""
    makers = {int(tensor): row for row, operator in enumerate(operators) for tensor in operator.outputs}
    rows: set[int] = set()
    waiting = list(outputs)
    while waiting:
        row = makers.get(waiting.pop())
        if row is not None and row not in rows:
            rows.add(row)
            waiting += map(int, operators[row].inputs)
    return rows


def _part(network: Any, whole: Whole, rows: set[int], inputs: list[int], outputs: list[int]) -> bytes:
    """A file with some of the operations, and with the weights that they take."""
    import flatbuffers

    graph = network.subgraphs[0]
    graph.operators = [operator for row, operator in enumerate(whole.operators) if row in rows]
    graph.inputs, graph.outputs = inputs, outputs
    # Names of inputs and outputs, which are of the whole network.
    network.signatureDefs = None
    used = {int(tensor) for operator in graph.operators for tensor in (*operator.inputs, *operator.outputs)}
    kept = {graph.tensors[tensor].buffer for tensor in used if tensor >= 0}
    for number, buffer in enumerate(network.buffers):
        buffer.data = whole.weights[number] if number in kept else None
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(network.Pack(builder), b"TFL3")
    return bytes(builder.Output())
