"""Exports a masked-language-model folder with its sparse pooling as ONNX, for the benchmarks against onnxruntime and OpenVINO, and
the same graph in int8 by onnxruntime's dynamic quantisation (weights a scale a channel, inputs a scale a tensor).

    pip install torch transformers onnx onnxscript onnxruntime
    python bench/rivals/export_onnx.py MODEL_FOLDER FLOAT32.onnx INT8.onnx
"""

import os
import sys

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoModelForMaskedLM, AutoTokenizer


class Sparse(torch.nn.Module):
    """log1p(relu(logits)), the maximum over the unmasked tokens of a text."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        # The maximum first: log1p(relu) is monotone, so this is the cheapest exact graph.
        largest = logits.masked_fill(attention_mask.unsqueeze(-1) == 0, float("-inf")).amax(1)
        return torch.log1p(torch.relu(largest))


def main(folder, output, output_int8):
    os.makedirs(os.path.dirname(output), exist_ok=True)
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)  # tokenizer.json, which transformers.js reads
    model = Sparse(AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval())
    ids = torch.randint(5, 100, (2, 16))
    axes = {"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"}, "weights": {0: "batch"}}
    temporary = output + ".tmp"
    torch.onnx.export(
        model,
        (ids, torch.ones_like(ids)),
        temporary,
        input_names=["input_ids", "attention_mask"],
        output_names=["weights"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    os.replace(temporary, output)
    quantize_dynamic(output, output_int8 + ".tmp", per_channel=True, weight_type=QuantType.QInt8)
    os.replace(output_int8 + ".tmp", output_int8)


main(*sys.argv[1:])
