"""Contender: one training step of PyTorch on the same objective, a batch of token ids a request.

    python bench/rivals/torch_train.py MODEL float32|bfloat16 THREADS

What a careful user of transformers writes: texts padded to the longest, the model in training mode with its own attention
(scaled_dot_product_attention), the maximum over tokens before the activation, AdamW in one fused kernel. bfloat16 is
autocast with float32 weights.
"""

import json
import resource
import sys
import time

import torch
from transformers import AutoModelForMaskedLM


def padded(rows):
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for b, row in enumerate(rows):
        ids[b, : len(row)] = torch.tensor(row)
        mask[b, : len(row)] = 1
    return ids, mask


def pooled(model, rows):
    ids, mask = padded(rows)
    logits = model(input_ids=ids, attention_mask=mask).logits
    if not mask.all():
        logits = logits.masked_fill(mask.unsqueeze(-1) == 0, float("-inf"))
    return logits.amax(1).float()


def flops(weights):
    return weights.mean(0).square().sum()


def loss_of(model, request):
    settings = request["settings"]
    # Queries and documents go through the network together, as here all texts have one length.
    rows = request["queries"] + request["documents"]
    z = pooled(model, rows)
    weights = torch.log1p(torch.relu(z))
    q, d = weights[: len(request["queries"])], weights[len(request["queries"]) :]
    each = len(d) // len(q)
    scores = q @ d.T / settings["temperature"]
    loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(q)) * each)
    loss = loss + settings["lambda"] * (flops(q) + flops(d))
    pull = settings["antiCollapse"]
    largest = z[len(q) :].topk(pull["terms"]).values
    return loss + pull["weight"] * torch.relu(pull["margin"] - largest).mean()


def main(folder, dtype, threads):
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_pretrained(folder).float().train()
    optimizer = None
    for line in sys.stdin:
        request = json.loads(line)
        if optimizer is None:
            optimizer = torch.optim.AdamW(model.parameters(), lr=request["settings"]["rate"], fused=True)
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = loss_of(model, request)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "loss": float(loss.detach()), "peakMb": peak}), flush=True)


main(*sys.argv[1:])
