"""Contender: PyTorch (a model folder) or OpenVINO (an ONNX file), from token ids to dense weights, in batches sorted by
length and padded to their longest text.

    python bench/rivals/torch_openvino.py torch|openvino MODEL THREADS [float32|bfloat16]

A file that is quantised is multiplied in int8 whatever is said here, which is of everything else.
"""

import json
import sys
import time

import numpy as np


def torch_runner(folder, threads, dtype):
    import torch
    from transformers import AutoModelForMaskedLM

    torch.set_num_threads(threads)
    model = AutoModelForMaskedLM.from_pretrained(folder).to(getattr(torch, dtype)).eval()

    def run(ids, mask):
        with torch.inference_mode():
            mask = torch.from_numpy(mask)
            logits = model(input_ids=torch.from_numpy(ids), attention_mask=mask).logits
            if not mask.all():
                logits = logits.masked_fill(mask.unsqueeze(-1) == 0, float("-inf"))
            return int((torch.log1p(torch.relu(logits.amax(1).float())) > 0).sum())

    return run


def openvino_runner(path, threads, dtype):
    import openvino

    core = openvino.Core()
    if dtype == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        sys.exit("OpenVINO does not multiply in bfloat16 on this processor")
    precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    model = core.compile_model(path, "CPU", settings)

    def run(ids, mask):
        return int((model({"input_ids": ids, "attention_mask": mask})[0] > 0).sum())

    return run


def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def main(kind, model, threads, dtype="float32"):
    run = {"torch": torch_runner, "openvino": openvino_runner}[kind](model, int(threads), dtype)
    for line in sys.stdin:
        request = json.loads(line)
        times, nnz = [], 0
        for _ in range(request.get("repeat", 1)):
            start = time.perf_counter()
            rows = sorted(request["tokens"], key=len, reverse=True)
            nnz = 0
            for at in range(0, len(rows), request["batchSize"]):
                batch = rows[at : at + request["batchSize"]]
                ids = np.zeros((len(batch), len(batch[0])), np.int64)
                mask = np.zeros_like(ids)
                for b, row in enumerate(batch):
                    ids[b, : len(row)] = row
                    mask[b, : len(row)] = 1
                nnz += run(ids, mask)
            times.append((time.perf_counter() - start) * 1000)
        print(json.dumps({"milliseconds": times, "nnz": nnz, "peakMb": peak_mb()}), flush=True)


main(*sys.argv[1:])
