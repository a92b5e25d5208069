"""The peer of `training.rs`: a step of the same model in PyTorch, whenever a line comes in."""

import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

WORDS, POSITIONS, LAYERS, HIDDEN, HEADS, INNER, DROPOUT = 30522, 512, 4, 312, 12, 1200, 0.1


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.output = nn.Linear(HIDDEN, 3 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.up, self.down = nn.Linear(HIDDEN, INNER), nn.Linear(INNER, HIDDEN)
        self.first, self.second = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        context = F.scaled_dot_product_attention(q, k, v, dropout_p=DROPOUT)
        context = self.output(context.transpose(1, 2).reshape(b, n, HIDDEN))
        x = self.first(x + F.dropout(context, DROPOUT))
        return self.second(x + F.dropout(self.down(F.gelu(self.up(x))), DROPOUT))


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.positions = nn.Embedding(WORDS, HIDDEN), nn.Embedding(POSITIONS, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.pooler, self.classifier = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 2)

    def forward(self, tokens):
        x = self.words(tokens) + self.positions(torch.arange(tokens.shape[1]))
        x = F.dropout(self.norm(x), DROPOUT)
        for layer in self.layers:
            x = layer(x)
        return self.classifier(F.dropout(torch.tanh(self.pooler(x[:, 0])), DROPOUT))


def main():
    reviews, tokens = map(int, sys.argv[1:])
    model = Bert()
    adam = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    truth = torch.arange(reviews) % 2
    print("ready", flush=True)
    for _ in sys.stdin:
        batch = torch.randint(1000, 21000, (reviews, tokens))
        started = time.perf_counter()
        adam.zero_grad()
        F.cross_entropy(model(batch), truth).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        print(time.perf_counter() - started, flush=True)


main()
