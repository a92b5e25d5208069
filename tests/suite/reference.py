"""Makes `reference.json`: what PyTorch's BERT says of the reviews in `graphs/`, judged by the
model that ships. Run it with a Python that has torch and transformers, whenever that model
changes."""

import csv
import json
import pathlib

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    folder = ROOT / "models/tinybert-imdb"
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    reviews = []
    with open(ROOT / "graphs/reviews.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            tokens = tokenizer(row["text"], truncation=True, max_length=256)["input_ids"]
            with torch.no_grad():
                logits = model(torch.tensor([tokens])).logits[0].tolist()
            reviews.append(json.dumps({"token_ids": tokens, "logits": logits}))
    text = "[\n" + ",\n".join(reviews) + "\n]\n"
    pathlib.Path(__file__).with_name("reference.json").write_text(text, encoding="utf-8")


main()
