"""The same model's generation in Hugging Face transformers, for `npm run bench -- generate --torch`.

Usage: transformers_generate.py FOLDER, which holds config.json and model.safetensors.

Reads one JSON per line: {"prompts": [[id, ...], ...], "tokens": n, "cache": "dynamic" | "static"}; all prompts have the same
length. Answers with {"prefillMs": ..., "totalMs": ..., "tokens": [[id, ...], ...]}: the time to the first token of every
prompt, the time to the last of n, and what was said, always the likeliest token. The first line says that it is ready.

{"logits": [id, ...]} is answered with {"logits": [[...], ...]}, of the token behind each of these.
"""

import json
import os
import sys
import time

import torch
from transformers import AutoModelForCausalLM

say = lambda message: print(json.dumps(message), flush=True)


@torch.inference_mode()
def main() -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
    # Random weights would end nothing; but an answer must be as long as is asked for.
    model.generation_config.eos_token_id = None
    say({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        if "logits" in asked:
            say({"logits": model(torch.tensor([asked["logits"]])).logits[0].tolist()})
            continue
        ids = torch.tensor(asked["prompts"])

        def timed(tokens: int) -> tuple[float, torch.Tensor]:
            start = time.perf_counter()
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=tokens,
                cache_implementation=asked["cache"],
                disable_compile=True,
                pad_token_id=0,
            )
            return 1000 * (time.perf_counter() - start), out[:, ids.shape[1] :]

        prefill_ms, _ = timed(1)
        total_ms, out = timed(asked["tokens"])
        say({"prefillMs": prefill_ms, "totalMs": total_ms, "tokens": out.tolist()})


main()
