"""From a detector to the bytes of an ONNX file."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from fakesound.exporting.scorer import Scores, WaveformScorer

DESCRIPTION = (
    "How likely a recording is fake, as a whole and in each frame. Input: waveform, mono, "
    "{sample_rate} samples a second, values in [-1, 1], one sample or more; anything else is an "
    "error. Outputs: score, "
    "P(fake) of the clip; logit, of the score; frame_scores, P(fake) of each {frame_step} s."
)
SELECTION = "node_index_select"
CHECK = "waveform must hold one sample or more, all from -1 to 1"


def onnx_bytes(scorer: WaveformScorer, metadata: Mapping[str, str]) -> bytes:
    """Return ``scorer`` as an ONNX file that carries ``metadata``."""
    from onnx_ir import Shape, serde
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    from fakesound.exporting.translation import OPSET, translations

    # three windows and a part: none of the counts is special
    example = torch.zeros(2 * scorer.frames * scorer.size + 1)
    with quiet(), torch.no_grad():
        captured = torch.export.export(
            scorer, (example,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), strict=False
        )
        program = torch.onnx.export(
            captured,
            dynamo=True,
            input_names=["waveform"],
            output_names=list(Scores._fields),
            custom_translation_table=translations(),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model
    # the rest are paths of this machine
    ClearMetadataAndDocStringPass()(model)
    # the check of the input comes first; runtimes name its node in their error
    check = next(node for node in model.graph if (node.name or "").startswith(SELECTION))
    check.name = CHECK
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.metadata_props.clear()
    model.graph.inputs[0].shape = Shape(["samples"])
    model.graph.outputs[2].shape = Shape(["frames"])
    model.doc_string = DESCRIPTION.format_map(metadata)
    model.metadata_props.update(metadata)
    return serde.serialize_model(model).SerializeToString()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings of the exporter that users can do nothing about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
