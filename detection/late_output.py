"""Splits a network in two, so that one costly output is only made when somebody asks for it."""

from collections.abc import Iterable, Sequence
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
    whole = _read(content)
    outputs = [int(tensor) for tensor in whole.subgraphs[0].outputs]
    last = outputs.pop(late)
    kept = _needed(whole, outputs)
    cut = _needed(whole, [last]) - kept
    made = {int(tensor) for row in kept for tensor in whole.subgraphs[0].operators[row].outputs}
    taken = {int(tensor) for row in cut for tensor in whole.subgraphs[0].operators[row].inputs}
    between = sorted(made & taken)
    inputs = [int(tensor) for tensor in whole.subgraphs[0].inputs]
    first = _part(_read(content), kept, inputs, [*outputs, *between])
    return first, _part(whole, cut, between, [last])


def _read(content: bytes) -> Any:
    # The schema is half a megabyte of code, which other detectors have no use for.
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def _needed(network: Any, outputs: Iterable[int]) -> set[int]:
    """Rows of the operations without which the outputs cannot be made."""
    operators = network.subgraphs[0].operators
    makers = {int(tensor): row for row, operator in enumerate(operators) for tensor in operator.outputs}
    rows: set[int] = set()
    waiting = list(outputs)
    while waiting:
        row = makers.get(waiting.pop())
        if row is not None and row not in rows:
            rows.add(row)
            waiting += map(int, operators[row].inputs)
    return rows


def _part(network: Any, rows: set[int], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """A file with some of the operations, and with the weights that they take."""
    import flatbuffers

    graph = network.subgraphs[0]
    graph.operators = [operator for row, operator in enumerate(graph.operators) if row in rows]
    graph.inputs, graph.outputs = list(inputs), list(outputs)
    # Names of inputs and outputs, which are of the whole network.
    network.signatureDefs = None
    used = {int(tensor) for operator in graph.operators for tensor in (*operator.inputs, *operator.outputs)}
    weights = {graph.tensors[tensor].buffer for tensor in used if tensor >= 0}
    for number, buffer in enumerate(network.buffers):
        buffer.data = buffer.data if number in weights else None
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(network.Pack(builder), b"TFL3")
    return bytes(builder.Output())
