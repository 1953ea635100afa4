"""Where everything of a store lies: names in, paths out, nothing touched.

A path is a tuple of steps below the store's root, so that fs.py can walk it one no-follow open at a time. Every step
that comes from outside passes `check_step`: the plan has refused unsafe file names before, this is the second line.

    store.json                                  id and layout version
    blobs/sha256/ab/<64 hex>                    immutable content
    blobs/git/ab/<40 hex>                       symlink from git's id of a small file to its content, a hint
    blobs/blake3/ab/<64 hex>                    BLAKE3 of each segment of the blob with this SHA-256, a hint
    manifests/sha256/<64 hex>.json              the files of one model revision
    models/<namespace>/<name>/<revision>/…      the tree that consumers mount
    models/<namespace>/<name>/current           symlink to a revision
    models/<namespace>/<name>/owner.json        whose it is
    ingest/<attempt>.<random>/…                 private, in progress
    trash/…                                     on its way out
"""

import re

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

Steps = tuple[str, ...]

LAYOUT_VERSION = 1
STEP_LIMIT = 255
"""Bytes of one step, NAME_MAX of every Linux file system in use."""

STORE_FILE: Steps = ("store.json",)
ID_CLAIM: Steps = (".store-id",)
"""A symlink whose text is the store's id: symlink() is exclusive everywhere, so that two first openers agree."""
BLOBS: Steps = ("blobs", "sha256")
ALIASES: Steps = ("blobs", "git")
SUMS: Steps = ("blobs", "blake3")
MANIFESTS: Steps = ("manifests", "sha256")
MODELS: Steps = ("models",)
INGEST: Steps = ("ingest",)
TRASH: Steps = ("trash",)
FOLDERS = (BLOBS, MANIFESTS, MODELS, INGEST, TRASH)
"""What every store has from its first moment on."""

CURRENT_NAME = "current"
OWNER_NAME = "owner.json"

FOREIGN_BUT_FINE = frozenset({"lost+found", ID_CLAIM[0]})
"""Names that may stand in a root that is not a store yet."""

_HEX = re.compile(r"[0-9a-f]{64}")
_GIT_HEX = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_COMMIT = re.compile(r"[0-9a-f]{12,64}")
_STORE_ID = re.compile(r"[0-9a-f]{32}")
_PIN_PREFIX = "pin-"
SHORT = 12
"""Hex digits of the short forms in a revision's name."""


def check_step(step: str) -> str:
    """Return `step` if it can be one name of a folder; raises FetchError(PathRejected) otherwise."""
    unsafe = step in ("", ".", "..") or "/" in step or "\0" in step
    if unsafe or len(step.encode(errors="surrogatepass")) > STEP_LIMIT:
        raise FetchError(
            Reason.PATH_REJECTED, f"expected a name of 1 to {STEP_LIMIT} bytes without '/', '.' or '..', got '{step}'"
        )
    return step


def file_steps(path: str) -> Steps:
    """Return the steps of a file's path inside a model; raises FetchError(PathRejected) on an unsafe one."""
    return tuple(check_step(step) for step in path.split("/"))


def sha256_hex(text: str) -> str:
    """Return `text` if it is a bare SHA-256; raises FetchError(PathRejected) otherwise, as it would become a path."""
    if _HEX.fullmatch(text) is None:
        raise FetchError(Reason.PATH_REJECTED, f"expected 64 lower-case hex digits, got '{text}'")
    return text


def digest_hex(digest: str) -> str:
    """Return the hex of `sha256:<hex>`; raises FetchError(PathRejected) on anything else."""
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise FetchError(Reason.PATH_REJECTED, f"expected 'sha256:' and 64 lower-case hex digits, got '{digest}'")
    return match[1]


def is_store_id(text: str) -> bool:
    """True for the id of a store."""
    return _STORE_ID.fullmatch(text) is not None


def blob(sha256: str) -> Steps:
    """Return where the content with this SHA-256 lies."""
    return (*BLOBS, sha256_hex(sha256)[:2], sha256)


def alias(git_blob: str) -> Steps:
    """Return where git's id of a blob leads to its content; raises FetchError(PathRejected) for anything else."""
    if _GIT_HEX.fullmatch(git_blob) is None:
        raise FetchError(Reason.PATH_REJECTED, f"expected 40 lower-case hex digits, got '{git_blob}'")
    return (*ALIASES, git_blob[:2], git_blob)


def sums(sha256: str) -> Steps:
    """Return where the BLAKE3 of each segment of a blob lies."""
    return (*SUMS, sha256_hex(sha256)[:2], sha256)


def is_blob_name(name: str) -> bool:
    """True for the name of a blob."""
    return _HEX.fullmatch(name) is not None


def is_git_id(name: str) -> bool:
    """True for git's id of a blob."""
    return _GIT_HEX.fullmatch(name) is not None


def manifest(digest: str) -> Steps:
    """Return where the manifest with this digest (`sha256:<hex>`) lies."""
    return (*MANIFESTS, f"{digest_hex(digest)}.json")


def manifest_digest(name: str) -> str | None:
    """Return the digest of a manifest's file name, None for any other name."""
    stem, dot, suffix = name.partition(".")
    return f"sha256:{stem}" if dot and suffix == "json" and _HEX.fullmatch(stem) else None


def revision_name(commit: str | None, digest: str) -> str:
    """Return `<commit[:12]>-<manifest[:12]>`, or `<manifest[:12]>` where the source has no commits."""
    short = digest_hex(digest)[:SHORT]
    if commit is None:
        return short
    if _COMMIT.fullmatch(commit) is None:
        raise FetchError(Reason.PATH_REJECTED, f"expected a commit of 12 to 64 hex digits, got '{commit}'")
    return f"{commit[:SHORT]}-{short}"


def manifest_key(digest: str) -> str:
    """Return the short form by which a tree's name refers to a manifest; two that share one keep each other."""
    return digest_hex(digest)[:SHORT]


def revision_key(revision: str) -> str:
    """Return the short form of the manifest that a tree's name refers to."""
    return revision.rpartition("-")[2]


def model(namespace: str, name: str) -> Steps:
    """Return the folder of one model."""
    return (*MODELS, check_step(namespace), check_step(name))


def revision(namespace: str, name: str, revision: str) -> Steps:
    """Return the tree of one revision."""
    return (*model(namespace, name), check_step(revision))


def current(namespace: str, name: str) -> Steps:
    """Return the link that consumers mount."""
    return (*model(namespace, name), CURRENT_NAME)


def owner(namespace: str, name: str) -> Steps:
    """Return the record of whose the model is."""
    return (*model(namespace, name), OWNER_NAME)


def blob_link(tree_file: Steps, sha256: str) -> str:
    """Return the text of a relative symlink at `tree_file` to the blob."""
    return "/".join((*[".."] * (len(tree_file) - 1), *blob(sha256)))


def linked_blob(text: str) -> str | None:
    """Return the SHA-256 of the blob that a `blob_link` leads to, None for any other link."""
    name = text.rpartition("/")[2]
    return name if is_blob_name(name) else None


def ingest(attempt: str, nonce: str) -> Steps:
    """Return the private folder of one run of an attempt.

    The random part keeps two Pods of one Job apart, which Kubernetes may run at once after it lost a node.
    """
    return (*INGEST, check_step(f"{attempt}.{nonce}"))


def ingest_attempt(name: str) -> str:
    """Return the attempt that a folder in ingest/ belongs to."""
    return name.rpartition(".")[0]


def partial(folder: Steps, name: str) -> Steps:
    """Return the private file `name` of an ingest folder."""
    return (*folder, check_step(f"file-{name}"))


def journal(folder: Steps) -> Steps:
    """Return the journal of an ingest folder."""
    return (*folder, "journal")


def pin(folder: Steps, sha256: str) -> Steps:
    """Return the name that keeps a blob for an attempt."""
    return (*folder, _PIN_PREFIX + sha256_hex(sha256))


def pinned(name: str) -> str | None:
    """Return the SHA-256 that a name in an ingest folder keeps, None for any other name."""
    sha256 = name.removeprefix(_PIN_PREFIX)
    return sha256 if sha256 != name and _HEX.fullmatch(sha256) else None


def staged(folder: Steps, name: str) -> Steps:
    """Return a private name in an ingest folder for something that is renamed into its place later."""
    return (*folder, check_step(f"new-{name}"))


def trashed_model(owner_short: str, nonce: str) -> Steps:
    """Return where the folder of a removed model waits for its end."""
    return (*TRASH, check_step(f"model.{owner_short}.{nonce}"))


def trashed_manifest(digest: str) -> Steps:
    """Return where a removed manifest waits until its blobs are gone."""
    return (*TRASH, f"manifest.{digest_hex(digest)}")


def trashed_blob(sha256: str, nonce: str) -> Steps:
    """Return where a removed blob waits for the second look at the manifests."""
    return (*TRASH, check_step(f"blob.{sha256_hex(sha256)}.{nonce}"))


def trashed_damage(sha256: str, nonce: str) -> Steps:
    """Return where a damaged blob waits for somebody to look at it, until the next removal."""
    return (*TRASH, check_step(f"damaged.{sha256_hex(sha256)}.{nonce}"))


def trash_kind(name: str) -> tuple[str, str]:
    """Return kind (model, manifest, blob, or "") and key (owner, digest, SHA-256) of a name in trash/."""
    parts = name.split(".")
    if parts[0] == "model" and len(parts) == 3:
        return "model", parts[1]
    if parts[0] == "manifest" and len(parts) == 2 and _HEX.fullmatch(parts[1]):
        return "manifest", f"sha256:{parts[1]}"
    if parts[0] == "blob" and len(parts) == 3 and _HEX.fullmatch(parts[1]):
        return "blob", parts[1]
    return "", ""
