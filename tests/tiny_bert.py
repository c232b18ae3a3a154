"""A small BERT model on disk, and what it must answer: written and computed with numpy alone."""

from __future__ import annotations

import json
import math
import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Weights = Mapping[str, NDArray[np.float32]]

# One word, or part of a word, a line as in a `vocab.txt`.
VOCABULARY = """\
[PAD]
[UNK]
[CLS]
[SEP]
the
a
cat
dog
sat
on
mat
honey
bee
make
##s
##ing
river
bridge
over
.
,
?
!
x
""".splitlines()
CONFIG = {
    "architectures": ["BertModel"],
    "hidden_act": "gelu",
    "hidden_size": 32,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 40,
    "model_type": "bert",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": len(VOCABULARY),
}


def random_weights(seed: int = 7) -> dict[str, NDArray[np.float32]]:
    """Makes the weights of a model of `CONFIG`, by their names in a file.

    Args:
        seed: What the random numbers begin with.

    Returns:
        Name to weight.
    """
    random = np.random.default_rng(seed)
    size, inner = 32, 64
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), size),
        "embeddings.position_embeddings.weight": (40, size),
        "embeddings.token_type_embeddings.weight": (2, size),
    }
    linear = {
        "attention.self.query": (size, size),
        "attention.self.key": (size, size),
        "attention.self.value": (size, size),
        "attention.output.dense": (size, size),
        "intermediate.dense": (inner, size),
        "output.dense": (size, inner),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(2):
        prefix = f"encoder.layer.{layer}."
        for name, (rows, columns) in linear.items():
            shapes[f"{prefix}{name}.weight"] = (rows, columns)
            shapes[f"{prefix}{name}.bias"] = (rows,)
        norms += [f"{prefix}attention.output.LayerNorm", f"{prefix}output.LayerNorm"]
    weights = {
        name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()
    }
    for name in norms:
        weights[f"{name}.weight"] = random.normal(1, 0.1, size).astype(np.float32)
        weights[f"{name}.bias"] = random.normal(0, 0.1, size).astype(np.float32)
    return weights


def write_model(folder: Path, *, seed: int = 7, config: Mapping[str, Any] = CONFIG) -> None:
    """Writes a whole model's folder.

    Args:
        folder: Where; made when it is not there.
        seed: What the random weights begin with.
        config: What `config.json` says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(dict(config)))
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer()))
    (folder / "model.safetensors").write_bytes(_safetensors(random_weights(seed)))


def read_safetensors(file: Path) -> dict[str, NDArray[np.float32]]:
    """Reads the weights of a file, which are of 32 bits.

    Args:
        file: A file in the format of safetensors.

    Returns:
        Name to weight.
    """
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    data = memoryview(content)[8 + length :]
    return {
        name: np.frombuffer(data[slice(*it["data_offsets"])], np.float32).reshape(it["shape"])
        for name, it in header.items()
        if name != "__metadata__" and it["dtype"] == "F32"
    }


def _safetensors(weights: Weights) -> bytes:
    header: dict[str, Any] = {}
    data = b""
    for name, weight in weights.items():
        begin = len(data)
        data += weight.tobytes()
        offsets = [begin, len(data)]
        header[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": offsets}
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + data


def _tokenizer() -> dict[str, Any]:
    special = [
        {
            "id": index,
            "content": VOCABULARY[index],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for index in range(4)
    ]
    ends = {
        name: {"id": name, "ids": [VOCABULARY.index(name)], "tokens": [name]}
        for name in ("[CLS]", "[SEP]")
    }
    single = [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ]
    return {
        "version": "1.0",
        # As in real files: somebody trained with these, and they are no property of the model.
        "truncation": {
            "direction": "Right",
            "max_length": 8,
            "strategy": "LongestFirst",
            "stride": 0,
        },
        "padding": {
            "strategy": {"Fixed": 8},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": special,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": ends,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: index for index, word in enumerate(VOCABULARY)},
        },
    }


def tokenize(text: str, vocabulary: Sequence[str], tokens_max: int) -> list[int]:
    """Splits a text of ASCII as BERT does, its beginning and end marked.

    Args:
        text: The text.
        vocabulary: Words and parts of words; their positions are the ids.
        tokens_max: What is longer is cut.

    Returns:
        The ids.
    """
    ids = {word: index for index, word in enumerate(vocabulary)}
    found: list[int] = []
    for word in re.findall(r"[a-z0-9]+|[^\sa-z0-9]", text.lower()):
        found += _pieces(word, ids)
    return [ids["[CLS]"], *found[: tokens_max - 2], ids["[SEP]"]]


def _pieces(word: str, ids: Mapping[str, int]) -> list[int]:
    found, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            piece = ids.get(prefix + word[start:end])
            if piece is not None:
                found.append(piece)
                start = end
                break
        else:
            return [ids["[UNK]"]]
    return found


def embed(ids: Sequence[int], weights: Weights, config: Mapping[str, Any]) -> NDArray[np.float64]:
    """Computes what a model answers, as its paper defines it (Devlin 2019), in 64 bits.

    Args:
        ids: Tokens of one text.
        weights: Name to weight.
        config: What `config.json` says.

    Returns:
        The mean of the tokens' vectors, of length one.
    """

    def linear(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        product: NDArray[np.float64] = x @ weights[f"{name}.weight"].T.astype(np.float64)
        return product + weights[f"{name}.bias"]

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        scaled = (x - mean) / np.sqrt(variance + config["layer_norm_eps"])
        result: NDArray[np.float64] = scaled * weights[f"{name}.weight"]
        return result + weights[f"{name}.bias"]

    heads = config["num_attention_heads"]
    erf = np.vectorize(math.erf)
    words = weights["embeddings.word_embeddings.weight"][list(ids)].astype(np.float64)
    places = weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(
        words + places + weights["embeddings.token_type_embeddings.weight"][0],
        "embeddings.LayerNorm",
    )
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        query, key, value = (
            linear(x, f"{prefix}attention.self.{it}").reshape(len(ids), heads, -1).swapaxes(0, 1)
            for it in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
        likely = np.exp(scores - scores.max(-1, keepdims=True))
        likely /= likely.sum(-1, keepdims=True)
        seen = (likely @ value).swapaxes(0, 1).reshape(len(ids), -1)
        x = norm(
            linear(seen, f"{prefix}attention.output.dense") + x,
            f"{prefix}attention.output.LayerNorm",
        )
        inner = linear(x, f"{prefix}intermediate.dense")
        inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
        x = norm(linear(inner, f"{prefix}output.dense") + x, f"{prefix}output.LayerNorm")
    pooled = x.mean(0)
    result: NDArray[np.float64] = pooled / np.linalg.norm(pooled)
    return result
