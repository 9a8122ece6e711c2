"""Text in, text out: `python -m rapt generate MODEL.so --tokenizer tokenizer.json --prompt "Once upon"`.

The tokenizer is the package `tokenizers`; the ids go through `rapt-run generate`, which is looked for at
RAPT_RUN, then in the build folder of the source tree that holds this package, then on the path. Flags that
are not listed here are handed to it (see `rapt-run generate --help`).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def find_tool():
    built = Path(__file__).resolve().parents[3] / "build" / "bin" / "rapt-run"
    path = os.environ.get("RAPT_RUN") or (str(built) if built.exists() else shutil.which("rapt-run"))
    if not path:
        sys.exit("rapt: error: rapt-run was not found; RAPT_RUN can say where it is")
    return path


def generate(args, flags):
    try:
        import tokenizers
    except ImportError:
        sys.exit("rapt: error: text needs the package tokenizers (pip install tokenizers)")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(args.tokenizer)
    except Exception as error:  # the package has no type of its own for what is wrong with a file
        sys.exit(f"rapt: error: {args.tokenizer}: {error}")
    command = [find_tool(), "generate", args.model, "--json", *flags]
    for prompt in args.prompt:
        ids = tokenizer.encode(prompt).ids
        if not ids:
            sys.exit(f"rapt: error: the prompt {prompt!r} has no tokens")
        command.append("--prompt-ids=" + ",".join(map(str, ids)))
    for token in args.eos_token:
        if (number := tokenizer.token_to_id(token)) is None:
            sys.exit(f"rapt: error: the tokenizer has no token {token!r}")
        command.append(f"--eos-id={number}")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    # Also after an error, which rapt-run has printed: what there is till then is in the output.
    for sequence in json.loads(done.stdout)["sequences"] if done.stdout else []:
        # A decoder's text goes on where the prompt ends, with or without a space: decoded in one piece.
        goes_on = not any(flag.split("=")[0] in ("--encoder", "--start-id") for flag in flags)
        print(tokenizer.decode((sequence["prompt"] if goes_on else []) + sequence["ids"]))
    sys.exit(done.returncode)


def main():
    parser = argparse.ArgumentParser(prog="python -m rapt", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("generate", help="continue text", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    command.add_argument("model", help="a compiled decoder")
    command.add_argument("--tokenizer", required=True, help="tokenizer.json")
    command.add_argument("--prompt", action="append", required=True, help="text; repeatable")
    command.add_argument("--eos-token", action="append", default=[], help='"</s>"; stop after it; repeatable')
    generate(*parser.parse_known_args())


if __name__ == "__main__":
    main()
