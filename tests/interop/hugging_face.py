"""What Hugging Face's transformers makes of models, asked by the tests of interchange.

Reads one JSON per line and answers each with one. The first line says that it is ready.

{"do": "make", "config": {...}, "folder": ..., "dtype": ..., "shard": ...}: saves a model with random weights
{"do": "load", "folder": ...}: the model that the following are asked of, in float32
{"do": "logits", "ids": [...]}: of the token behind each
{"do": "loss", "rows": [[...], ...]}: mean of the tokens behind the first of each row, all rows alike
{"do": "train", "optimizer": {...}, "batches": [{"ids": [[...]], "targets": [[...]], "lr": ...}]}: the loss before each update
{"do": "tokens", "folder": ..., "texts": [...]}: ids that the folder's tokenizer gives
{"do": "from gguf", "file": ..., "folder": ...}: saves what is in a GGUF file as a folder in float32
"""

import json
import os
import sys

import torch
import torch.nn.functional as F
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

model = None


def make(config: dict, folder: str, dtype: str, shard: str) -> dict:
    torch.manual_seed(7)
    made = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    # Gains other than 1, as trained models have them.
    for name, parameter in made.named_parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 1.0, 0.2)
    made.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shard)
    return {"files": sorted(os.listdir(folder))}


def load(folder: str) -> dict:
    global model
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return {"architecture": type(model).__name__}


@torch.inference_mode()
def logits(ids: list) -> dict:
    return {"logits": model(torch.tensor([ids])).logits[0].tolist()}


@torch.inference_mode()
def loss(rows: list) -> dict:
    ids = torch.tensor(rows)
    found = model(ids[:, :-1]).logits
    return {"loss": F.cross_entropy(found.flatten(0, 1), ids[:, 1:].flatten()).item()}


def train(optimizer: dict, batches: list) -> dict:
    c = optimizer
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": c["weightDecay"]},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, betas=(c["beta1"], c["beta2"]), eps=c["epsilon"])
    losses = []
    for batch in batches:
        for group in adamw.param_groups:
            group["lr"] = batch["lr"]
        found = model(torch.tensor(batch["ids"])).logits
        value = F.cross_entropy(found.flatten(0, 1), torch.tensor(batch["targets"]).flatten())
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, c["clipNorm"])
        adamw.step()
        adamw.zero_grad()
        losses.append(value.item())
    return {"losses": losses}


def tokens(folder: str, texts: list) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return {"tokens": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]}


def from_gguf(file: str, folder: str) -> dict:
    at, name = os.path.split(file)
    loaded = AutoModelForCausalLM.from_pretrained(at, gguf_file=name, dtype=torch.float32)
    # It would not be saved, since it was quantized once.
    config = {key: value for key, value in loaded.config.to_dict().items() if key != "quantization_config"}
    plain = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    plain.load_state_dict(loaded.state_dict())
    plain.to(torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(at, gguf_file=name).save_pretrained(folder)
    return {"files": sorted(os.listdir(folder))}


does = {
    "make": make,
    "load": load,
    "logits": logits,
    "loss": loss,
    "train": train,
    "tokens": tokens,
    "from gguf": from_gguf,
}


def main() -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    say = lambda message: print(json.dumps(message), flush=True)
    say({"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        say(does[asked.pop("do")](**asked))


main()
