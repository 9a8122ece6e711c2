"""Generates with `rapt-run generate` and with a loop around onnxruntime: the ids must be equal.

    generate.py MODEL --raptc R --rapt-run R [--first MODEL] [--encoder MODEL --start-id N[,N]] [--features]
    generate.py MODEL --branches one|two ...

With --branches MODEL is a merged decoder: its artifact takes the branch with a cache, and with `two` another one that
takes the branch without makes the first step. --features gives the encoder random ones in the place of prompts.

Inputs are recognised here by the names that the models of test/models have, sampling is written from the
description in runtime/tools/Sampling.h.
"""

import json
import os
import tempfile

import numpy as np

import e2e

PROMPTS = ((1,), (5, 17, 88, 3), (40, 2, 99, 7, 7, 61, 23, 10, 54))
TOGETHER = ((5, 17, 88, 3), (30, 31, 2, 9), (77, 1, 1, 6))  # of one length: a batch
SETTINGS = ({}, {"seed": 1}, {"seed": 5, "temperature": 0.7}, {"seed": 2, "top-k": 5},
            {"seed": 3, "top-p": 0.6, "temperature": 1.5}, {"seed": 4, "top-k": 20, "top-p": 0.9})


class SplitMix64:
    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 11) / 2**53


def choose(logits, settings, random):
    """The next id from a row of logits."""
    if not settings:
        return int(np.argmax(logits))
    scores = logits.astype(np.float64) / settings.get("temperature", 1.0)
    order = np.argsort(-scores, kind="stable")[: settings.get("top-k", len(scores))]
    weights = np.exp(scores[order] - scores[order[0]])
    reached = np.flatnonzero(np.cumsum(weights) >= settings.get("top-p", 1.0) * weights.sum())
    kept = weights[: reached[0] + 1] if settings.get("top-p", 1.0) < 1 else weights
    above = np.flatnonzero(np.cumsum(kept) > random.uniform() * kept.sum())
    return int(order[above[0] if len(above) else len(kept) - 1])


def is_cross(name):
    """Whether a cache's keys or values are the encoder's, which stay as the first step gives them."""
    return "cross" in name or ".encoder." in name


class Loop:
    """The same generation with onnxruntime."""

    def __init__(self, paths):
        self.models = {role: e2e.Oracle(path) for role, path in paths.items()}
        names = [value.name for value in self.models["decoder"].session.get_inputs()]
        self.cached = any("past" in name for name in names)
        self.past = "past_key_values" if any("past_key_values" in name for name in names) else "past"

    def feed(self, role, tokens, source, states, caches):
        """What the model `role` takes; `tokens` are the new ones, `caches` arrays by input name."""
        past = next((a.shape[2] for name, a in caches.items() if not is_cross(name)), 0)
        total = past + len(tokens)
        names = [value.name for value in self.models[role].session.get_inputs()]
        values = {}
        for value in self.models[role].session.get_inputs():
            name, shape = value.name, [d if isinstance(d, int) else 0 for d in value.shape]
            to_encoder = source is not None and (name in ("attention_mask", "encoder_attention_mask") or (
                name == "input_ids" and (role == "encoder" or "decoder_input_ids" in names)))
            if name.endswith("input_ids"):
                values[name] = np.array([source if to_encoder else tokens])
            elif name == "position_ids":
                values[name] = np.arange(past, total)[None]
            elif name == "use_cache_branch":
                values[name] = np.array([past > 0])
            elif name == "input_features":
                values[name] = source
            elif name in ("attention_mask", "encoder_attention_mask"):
                values[name] = np.ones((1, len(source) if to_encoder else total), np.int64)
            elif name == "encoder_hidden_states":
                values[name] = states
            else:
                values[name] = caches.get(name, np.zeros([1] + shape[1:], np.float32))
        return values

    def run(self, prompt, count, settings, seed, start_ids=()):
        source = prompt if start_ids else None
        states = self.models["encoder"].run(self.feed("encoder", [], source, None, {}))["last_hidden_state"] \
            if "encoder" in self.models else None
        tokens, caches, ids, random = list(start_ids or prompt), {}, [], SplitMix64(seed)
        for step in range(count):
            role = "first" if step == 0 and "first" in self.models else "decoder"
            outputs = self.models[role].run(self.feed(role, tokens, source, states, caches))
            caches |= {name.replace("present", self.past): array for name, array in outputs.items()
                       if "present" in name and not (step and is_cross(name))}
            ids.append(choose(outputs["logits"][0, -1], settings, random))
            tokens = [ids[-1]] if self.cached else tokens + [ids[-1]]
        return ids


def check():
    parser = e2e.parser(__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--first")
    parser.add_argument("--encoder")
    parser.add_argument("--start-id", default="")
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--branches", choices=("one", "two"))
    parser.add_argument("--features", action="store_true")
    args = parser.parse_args()
    start_ids = [int(id) for id in args.start_id.split(",") if id]

    paths = {role: path for role, path in
             (("decoder", args.model), ("first", args.first), ("encoder", args.encoder)) if path}
    loop = Loop(paths)
    if args.branches == "two":
        paths["first"] = args.model
    branches = {"decoder": ["--set", "use_cache_branch=true"], "first": ["--set", "use_cache_branch=false"]} \
        if args.branches else {}
    for kernels in args.kernels.split(","):
        with tempfile.TemporaryDirectory() as folder:
            artifacts = {role: os.path.join(folder, role + ".so") for role in paths}
            for role, path in paths.items():
                e2e.compile_model(args.raptc, path, artifacts[role], [f"--kernels={kernels}"] + branches.get(role, []))
            command = [args.rapt_run, "generate", artifacts["decoder"], f"--max-new-tokens={args.tokens}"]
            command += [f"--{role}={artifacts[role]}" for role in ("first", "encoder") if role in paths]
            command += [f"--start-id={args.start_id}"] if start_ids else []
            if args.features:
                shape = [1, *loop.models["encoder"].session.get_inputs()[0].shape[1:]]
                features = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
                np.save(os.path.join(folder, "features.npy"), features)
                command.append(f"--encoder-input={folder}/features.npy")
            seen = set()
            for number, settings in enumerate(SETTINGS):
                prompts = ((),) if args.features else TOGETHER if number % 2 else PROMPTS
                flags = [f"--{name}={value}" for name, value in settings.items()]
                flags += ["--prompt-ids=" + ",".join(map(str, prompt)) for prompt in prompts if prompt]
                got = json.loads(e2e.execute([*command, *flags, "--json"]))["sequences"]
                wanted = [loop.run(features if args.features else prompt, args.tokens, settings,
                                   settings.get("seed", 0) + i, start_ids) for i, prompt in enumerate(prompts)]
                for prompt, sequence, want in zip(prompts, got, wanted):
                    if sequence != {"prompt": list(prompt), "ids": want, "ended": False}:
                        raise e2e.Failure(f"{kernels} {settings}: {sequence}, expected ids {want}")
                seen |= {tuple(want) for want in wanted}
            # An id that comes up ends the sequence, whichever it is.
            end = want[len(want) // 2]
            ended = want[: want.index(end) + 1]
            never = next(id for id in range(len(want) + 1) if id not in want)
            lines = e2e.execute([*command, *flags, f"--eos-id={end}", f"--eos-id={never}"]).splitlines()
            if lines[-1] != ",".join(map(str, ended)):
                raise e2e.Failure(f"{kernels}: with --eos-id={end} {lines[-1]}, expected {ended}")
            print(f"{os.path.basename(args.model)} {kernels}: {len(SETTINGS) * len(prompts)} equal sequences "
                  f"of {args.tokens} ids, {len(seen)} different ones")


if __name__ == "__main__":
    e2e.main(check)
