"""Encodes a few texts with a model folder in sentence-transformers, in transformers and with `fles encode`, and compares.

    pip install torch sentence-transformers==6.0.1
    python scripts/check-model.py FOLDER [FILE_OF_TEXTS]

Run `npm run build` first. Prints the largest differences of any weight; ends with status 1 when one is above 2e-4.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer, SparseEncoder
from transformers import AutoModelForMaskedLM, AutoTokenizer

TOLERANCE = 2e-4
TEXTS = [
    "Statin drugs lower cholesterol but may cause muscle pain.",
    "What are the health benefits of green tea?",
    "The old man lit his pipe.",
]


def fles(folder, texts, vocabulary):
    cli = Path(__file__).parent.parent / "dist/cli/main.js"
    lines = "".join(json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(texts))
    command = ["node", str(cli), "encode", "--model", folder, "--input", "-", "--output", "-"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    weights = torch.zeros(len(texts), len(vocabulary))
    for line in done.stdout.splitlines():
        row = json.loads(line)
        for term, weight in row["vector"].items():
            weights[int(row["id"]), vocabulary[term]] = weight
    return weights


def fles_dense(folder, texts):
    program = """
        const { FLES1Encoder } = require(process.argv[1]);
        FLES1Encoder.fromPretrained(process.argv[2], { mode: "dense" }).then(async (encoder) => {
          const { values } = await encoder.encodeDense(JSON.parse(process.argv[3]), { kind: "document" });
          process.stdout.write(JSON.stringify([...values]));
        });"""
    library = str(Path(__file__).parent.parent / "dist/index.js")
    command = ["node", "-e", program, library, str(Path(folder).resolve()), json.dumps(texts)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return torch.tensor(json.loads(done.stdout)).reshape(len(texts), -1)


def compare_dense(folder, texts):
    expected = torch.from_numpy(SentenceTransformer(folder, device="cpu").encode(texts))
    difference = float((fles_dense(folder, texts) - expected).abs().max())
    print(f"{len(texts)} texts, {expected.shape[1]} values each: largest difference to sentence-transformers {difference:.1e}")
    return difference > TOLERANCE


def transformers(folder, texts, length):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    rows = []
    with torch.no_grad():
        for text in texts:
            logits = model(**tokenizer(text, return_tensors="pt", truncation=True, max_length=length)).logits
            rows.append(torch.log1p(torch.relu(logits.amax(1)))[0])
    return torch.stack(rows)


def main(folder, file=None):
    texts = Path(file).read_text().splitlines() if file else TEXTS
    modules = json.loads((Path(folder) / "modules.json").read_text())
    if any(module["type"].endswith("models.Pooling") for module in modules):
        return compare_dense(folder, texts)
    encoder = SparseEncoder(folder, device="cpu")
    expected = encoder.encode(texts, convert_to_sparse_tensor=False)
    ours = fles(folder, texts, encoder.tokenizer.get_vocab())
    plain = transformers(folder, texts, encoder.max_seq_length)
    worst = 0.0
    for name, other in [("sentence-transformers", expected), ("transformers", plain)]:
        difference = float((ours - other).abs().max())
        worst = max(worst, difference)
        print(f"{len(texts)} texts, {int((ours > 0).sum())} terms: largest difference to {name} {difference:.1e}")
    return worst > TOLERANCE


sys.exit(main(*sys.argv[1:]))
