"""Convert a detector to an ONNX file."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from fakesound.exporting.scorer import Scores, WaveformScorer, WindowScorer

DESCRIPTION = (
    "Probability that a recording is fake, for the recording and for each frame. Input: waveform, "
    "mono, {sample_rate} samples per second, values in [-1, 1], at least one sample; other input "
    "raises an error. Outputs: score, P(fake) of the recording; logit, log odds of the score; "
    "frame_scores, P(fake) of each frame of {frame_step} s."
)
SELECTION = "node_index_select"
CHECK = "waveform must hold one sample or more, all from -1 to 1"
WINDOWS_DESCRIPTION = (
    "Outputs of the heads of a detector for windows of a recording. Input: windows, mono, "
    "{sample_rate} samples per second, values in [-1, 1). Outputs: values of each frame of "
    "{frame_step} s, from which fakesound computes scores."
)
Shapes = Mapping[str, Sequence[str | int]]
# elements of a constant, above which the runtime computes it instead of reading it
LARGEST_CONSTANT = 16_384


def onnx_bytes(scorer: WaveformScorer, metadata: Mapping[str, str]) -> bytes:
    """Return ``scorer`` as an ONNX file with ``metadata``."""
    # several windows and a fraction, so that no count is specialised
    example = torch.zeros(2 * scorer.frames * scorer.size + 1)
    inputs: Shapes = {"waveform": ["samples"]}
    outputs: Shapes = {
        name: ["frames"] if name == "frame_scores" else [] for name in Scores._fields
    }
    return _exported(scorer, example, inputs, outputs, DESCRIPTION, metadata)


def window_onnx_bytes(scorer: WindowScorer, metadata: Mapping[str, str]) -> bytes:
    """Return ``scorer`` as an ONNX file with ``metadata``."""
    inputs: Shapes = {"windows": ["window", scorer.samples]}
    outputs: Shapes = {name: ["window", *shape] for name, shape in scorer.outputs.items()}
    example = torch.zeros(3, scorer.samples)
    return _exported(scorer, example, inputs, outputs, WINDOWS_DESCRIPTION, metadata)


def _exported(
    module: nn.Module,
    example: torch.Tensor,
    inputs: Shapes,
    outputs: Shapes,
    description: str,
    metadata: Mapping[str, str],
) -> bytes:
    """Export ``module``, with one input whose first axis is dynamic, as an ONNX file.

    Args:
        module: module to export.
        example: input for tracing.
        inputs: shape of the input by name.
        outputs: shapes of the outputs by name.
        description: description in the file, formatted with ``metadata``.
        metadata: metadata in the file.
    """
    from onnx_ir import Shape, serde
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass
    from onnxscript import optimizer

    from fakesound.exporting.translation import OPSET, translations

    with quiet(), torch.no_grad():
        captured = torch.export.export(
            module, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), strict=False
        )
        program = torch.onnx.export(
            captured,
            dynamo=True,
            input_names=list(inputs),
            output_names=list(outputs),
            custom_translation_table=translations(),
            opset_version=OPSET,
            optimize=False,
            verbose=False,
        )
        assert program is not None
        model = program.model
        optimizer.optimize(model, output_size_limit=LARGEST_CONSTANT)
    # docstrings and node metadata contain paths of this machine
    ClearMetadataAndDocStringPass()(model)
    # runtimes report the name of a failing node: the first such node checks the input
    checks = [node for node in model.graph if (node.name or "").startswith(SELECTION)]
    if isinstance(module, WaveformScorer):
        checks[0].name = CHECK
    shapes = [*inputs.values(), *outputs.values()]
    for value, shape in zip((*model.graph.inputs, *model.graph.outputs), shapes, strict=True):
        value.metadata_props.clear()
        value.shape = Shape(shape)
    model.doc_string = description.format_map(metadata)
    model.metadata_props.update(metadata)
    return serde.serialize_model(model).SerializeToString()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings of the exporter that do not concern users."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
