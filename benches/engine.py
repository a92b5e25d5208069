"""The peer of `engine.rs`: the same model in onnxruntime, f32 and int8, whenever a line comes in.

Arguments: the model's folder, then the reviews' lengths in tokens.
"""

import json
import os
import sys
import tempfile
import threading
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file


def graph(folder):
    """BERT with a classifier, in the nodes that exporters write and onnxruntime fuses."""
    config = json.load(open(os.path.join(folder, "config.json")))
    weights = load_file(os.path.join(folder, "model.safetensors"))
    weights = {name.removeprefix("bert."): np.float32(x) for name, x in weights.items()}
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    nodes, constants = [], {}

    def constant(name, value):
        constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def node(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def dense(x, at):
        weight = constant(f"{at}.weight", weights[f"{at}.weight"].T.copy())
        product = node("MatMul", [x, weight], f"{at}/MatMul")
        return node("Add", [product, constant(f"{at}.bias", weights[f"{at}.bias"])], f"{at}/Add")

    def norm(x, at):
        inputs = [x] + [constant(f"{at}.{part}", weights[f"{at}.{part}"]) for part in ("weight", "bias")]
        return node("LayerNormalization", inputs, f"{at}/Norm", axis=-1, epsilon=config["layer_norm_eps"])

    table = constant("words", weights["embeddings.word_embeddings.weight"])
    words = node("Gather", [table, "tokens"], "embeddings/words")
    places = constant("places", weights["embeddings.position_embeddings.weight"])
    places = node("Gather", [places, "positions"], "embeddings/places")
    kind = constant("kind", weights["embeddings.token_type_embeddings.weight"][0])
    x = node("Add", [words, node("Add", [places, kind], "embeddings/both")], "embeddings/sum")
    x = norm(x, "embeddings.LayerNorm")
    shape = constant("shape", np.int64([0, 0, heads, hidden // heads]))
    flat = constant("flat", np.int64([0, 0, hidden]))
    root = constant("root", np.float32((hidden // heads) ** 0.5))
    half, one = constant("half", np.float32(0.5)), constant("one", np.float32(1))
    root_2 = constant("root_2", np.float32(2**0.5))
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"

        def head(part, order):
            y = dense(x, f"{at}.attention.self.{part}")
            y = node("Reshape", [y, shape], f"{at}/{part}/heads")
            return node("Transpose", [y], f"{at}/{part}/order", perm=order)

        query, value = head("query", [0, 2, 1, 3]), head("value", [0, 2, 1, 3])
        key = head("key", [0, 2, 3, 1])
        scores = node("Div", [node("MatMul", [query, key], f"{at}/scores"), root], f"{at}/scaled")
        scores = node("Add", [scores, "mask"], f"{at}/masked")
        shares = node("Softmax", [scores], f"{at}/shares", axis=-1)
        y = node("Transpose", [node("MatMul", [shares, value], f"{at}/mix")], f"{at}/back", perm=[0, 2, 1, 3])
        y = dense(node("Reshape", [y, flat], f"{at}/flat"), f"{at}.attention.output.dense")
        x = norm(node("Add", [y, x], f"{at}/first"), f"{at}.attention.output.LayerNorm")
        y = dense(x, f"{at}.intermediate.dense")
        erf = node("Erf", [node("Div", [y, root_2], f"{at}/erf/in")], f"{at}/erf")
        y = node("Mul", [y, node("Add", [erf, one], f"{at}/erf/one")], f"{at}/gelu/twice")
        y = dense(node("Mul", [y, half], f"{at}/gelu"), f"{at}.output.dense")
        x = norm(node("Add", [y, x], f"{at}/second"), f"{at}.output.LayerNorm")
    zero = constant("zero", np.int64(0))
    first = node("Gather", [x, zero], "first", axis=1)
    node("Identity", [dense(node("Tanh", [dense(first, "pooler.dense")], "pooled"), "classifier")], "logits")
    size = ["batch", "tokens"]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, size),
        helper.make_tensor_value_info("positions", TensorProto.INT64, size),
        helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch", 1, 1, "tokens"]),
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "labels"])
    made = helper.make_graph(nodes, "bert", inputs, [output], list(constants.values()))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def feeds(reviews):
    """One batch, padded to the longest."""
    longest = max(reviews)
    tokens = np.int64([1000 + np.arange(longest) * 7919 % 20_000] * len(reviews))
    places = np.arange(longest)[None].repeat(len(reviews), 0)
    mask = np.where(places < np.int64(reviews)[:, None], 0, -1e9)
    return {"tokens": tokens, "positions": places, "mask": np.float32(mask)[:, None, None]}


def main():
    lengths = [int(text) for text in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: os.path.join(folder, f"{kind}.onnx") for kind in ("f32", "int8")}
        onnx.save(graph(sys.argv[1]), paths["f32"])
        quantize_dynamic(paths["f32"], paths["int8"], weight_type=QuantType.QInt8)
        single = {kind: [session(path, 1) for _ in range(2)] for kind, path in paths.items()}
        double = {kind: session(path, 2) for kind, path in paths.items()}
    own = [feeds([length]) for length in lengths]
    padded = [feeds(lengths[at : at + 32]) for at in range(0, len(lengths), 32)]

    def run(session, batches):
        for batch in batches:
            session.run(None, batch)

    print("ready", flush=True)
    for line in sys.stdin:
        kind, way, cores = line.split()
        cores = int(cores)
        start = time.perf_counter()
        if way == "padded":
            run(double[kind], padded)
        else:
            work = [
                threading.Thread(target=run, args=(single[kind][core], own[core::cores]))
                for core in range(cores)
            ]
            [thread.start() for thread in work]
            [thread.join() for thread in work]
        print(time.perf_counter() - start, flush=True)


main()
