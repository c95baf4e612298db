"""Contender: sentence-transformers from texts to vectors, SparseEncoder or SentenceTransformer as the folder says, float32.

    python bench/rivals/st_encode.py MODEL THREADS
"""

import json
import sys
import time
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer, SparseEncoder


def main(folder, threads):
    torch.set_num_threads(int(threads))
    modules = json.loads((Path(folder) / "modules.json").read_text())
    kind = SparseEncoder if any("sparse_encoder" in module["type"] for module in modules) else SentenceTransformer
    model = kind(folder, device="cpu")
    for line in sys.stdin:
        request = json.loads(line)
        model.max_seq_length = request["maxLength"]
        start = time.perf_counter()
        model.encode(request["texts"], batch_size=request["batchSize"], show_progress_bar=False)
        print(json.dumps({"milliseconds": [(time.perf_counter() - start) * 1000]}), flush=True)


main(*sys.argv[1:])
