"""The same training step in PyTorch, for `npm run bench -- train --torch`.

Usage: torch_model.py '{"weights": "w.safetensors", "precision": "f32" | "bf16", "compile": true | false, "optimizer": {}}'

Reads the model's config and weights from a file that Millrace wrote. Then, for each step, reads one frame from standard
input: int32 rows, int32 context, float32 learning rate, int32 ids and int32 targets of rows x context. Answers each with a
line of JSON that holds the loss before the update. The first line says that it is ready.
"""

import json
import os
import struct
import sys

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn


class Norm(nn.Module):
    def __init__(self, size: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


class Attention(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        width, self.head_dim = c["hiddenSize"], c["headDim"]
        self.is_grouped = c["heads"] != c["kvHeads"]
        self.q_proj = linear(width, c["heads"] * self.head_dim)
        self.k_proj = linear(width, c["kvHeads"] * self.head_dim)
        self.v_proj = linear(width, c["kvHeads"] * self.head_dim)
        self.o_proj = linear(c["heads"] * self.head_dim, width)
        self.q_norm = Norm(self.head_dim, c["rmsNormEps"]) if c["qkNorm"] else nn.Identity()
        self.k_norm = Norm(self.head_dim, c["rmsNormEps"]) if c["qkNorm"] else nn.Identity()

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        heads = lambda y: y.unflatten(-1, (-1, self.head_dim))
        q = rotate(self.q_norm(heads(self.q_proj(x))).transpose(1, 2), cos, sin)
        k = rotate(self.k_norm(heads(self.k_proj(x))).transpose(1, 2), cos, sin)
        v = heads(self.v_proj(x)).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.is_grouped)
        return self.o_proj(y.transpose(1, 2).flatten(-2))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding, rotate-half: pairs are (x[i], x[i + D/2])."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).type_as(x)


class MLP(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        self.gate_proj = linear(c["hiddenSize"], c["intermediateSize"])
        self.up_proj = linear(c["hiddenSize"], c["intermediateSize"])
        self.down_proj = linear(c["intermediateSize"], c["hiddenSize"])

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        self.input_layernorm = Norm(c["hiddenSize"], c["rmsNormEps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = Norm(c["hiddenSize"], c["rmsNormEps"])
        self.mlp = MLP(c)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Backbone(nn.Module):
    def __init__(self, c: dict):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocabSize"], c["hiddenSize"])
        self.layers = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.norm = Norm(c["hiddenSize"], c["rmsNormEps"])
        half = c["headDim"] // 2
        frequencies = c["ropeTheta"] ** (-torch.arange(half) / half)
        angles = torch.outer(torch.arange(c["maxContext"]).float(), frequencies)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed_tokens(ids)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)


class Model(nn.Module):
    """Qwen3ForCausalLM by names and maths; forward gives the mean loss."""

    def __init__(self, c: dict):
        super().__init__()
        self.model = Backbone(c)
        self.lm_head = linear(c["hiddenSize"], c["vocabSize"])
        if c["tieEmbeddings"]:
            self.lm_head.weight = self.model.embed_tokens.weight

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        logits = self.lm_head(self.model(ids))
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def load(path: str) -> Model:
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["millrace.config"])
        weights = {name: file.get_tensor(name) for name in file.keys()}
    if config["tieEmbeddings"]:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model = Model(config)
    model.load_state_dict(weights)
    return model


def adamw(model: Model, c: dict) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.dim() > 1]
    gains = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": c["weightDecay"]}, {"params": gains, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(c["beta1"], c["beta2"]), eps=c["epsilon"], fused=True)


def read_tensor(rows: int, context: int) -> Tensor:
    data = bytearray(sys.stdin.buffer.read(4 * rows * context))
    return torch.frombuffer(data, dtype=torch.int32).view(rows, context).long()


def main() -> None:
    settings = json.loads(sys.argv[1])
    # As many as there are cores, where PyTorch would leave out those that it takes for hyper-threads.
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = load(settings["weights"])
    optimizer = adamw(model, settings["optimizer"])
    loss_of = torch.compile(model) if settings["compile"] else model
    is_bf16 = settings["precision"] == "bf16"
    say = lambda message: print(json.dumps(message), flush=True)
    say({"ready": True})
    while header := sys.stdin.buffer.read(12):
        rows, context, lr = struct.unpack("<iif", header)
        ids, targets = read_tensor(rows, context), read_tensor(rows, context)
        for group in optimizer.param_groups:
            group["lr"] = lr
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_bf16):
            loss = loss_of(ids, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings["optimizer"]["clipNorm"])
        optimizer.step()
        optimizer.zero_grad()
        say({"loss": loss.item()})


main()
