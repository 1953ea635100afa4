"""The scenarios, as a list: what each asks, who takes part, what is to be reached."""

from benchmarks import plays
from benchmarks.contenders import OURS, VERIFY_OURS, VERIFY_OURS_FULL
from benchmarks.goals import at_most, of, of_best_peer, of_fact, of_limit
from benchmarks.scenario import Scenario

ONE_FILE = ("curl", "aria2", "rclone", "http_get", "hf_transfer", "requests", "obstore", "pycurl")
MANY_FILES = ("curl", "rclone", "obstore", "http_get")
ALL_LIMITS = ("limit: hash", "limit: network", "limit: disk")

SCENARIOS = (
    Scenario(
        key="B1",
        title="one file of 2 GiB over HTTP",
        collection="big",
        server="http",
        play=plays.download,
        peers=(*ONE_FILE, "kserve-storage"),
        limits=ALL_LIMITS,
        goals=(of_best_peer(0.75), of_limit(1.10), at_most("rss_mib", "memory ≤ 128 MiB", 128)),
    ),
    Scenario(
        key="B2",
        title="one file of 2 GiB over TLS 1.3",
        collection="big",
        server="tls",
        play=plays.download,
        peers=ONE_FILE,
        limits=ALL_LIMITS,
        goals=(of_best_peer(0.80), of_limit(1.20), of("http_get", 0.45)),
    ),
    Scenario(
        key="B3",
        title="512 MiB, each connection held to 40 MiB/s, at most 16 connections",
        collection="paced",
        server="paced",
        play=plays.download,
        connections=16,
        peers=("hf_transfer", "aria2", "requests"),
        limits=("limit: hash",),
        goals=(of_best_peer(0.80), of("requests", 0.20)),
    ),
    Scenario(
        key="B3b",
        title="512 MiB, all connections together held to 80 MB/s, at most 16 connections",
        collection="paced",
        server="shared",
        play=plays.download,
        connections=16,
        peers=("curl",),
        goals=(of("curl", 1.03), at_most("connections_at_end", "at most 4 connections at the end", 4)),
    ),
    Scenario(
        key="B4",
        title="200 files of 8 MiB",
        collection="many",
        server="http",
        play=plays.download,
        connections=16,
        peers=(*MANY_FILES, "snapshot_download", "kserve-storage"),
        limits=ALL_LIMITS,
        goals=(of_best_peer(1.0), of("http_get", 0.60)),
    ),
    Scenario(
        key="B5",
        title="3,000 files of 8 KiB",
        collection="tiny",
        server="http",
        play=plays.download,
        connections=16,
        peers=MANY_FILES,
        limits=("limit: network", "limit: disk"),
        goals=(of_best_peer(0.85), of("http_get", 0.30), at_most("requests", "one request a file", 3000)),
    ),
    Scenario(
        key="B5d",
        title="3,000 files of 8 KiB, 30 ms to the first byte",
        collection="tiny",
        server="delay",
        play=plays.download,
        connections=64,
        peers=MANY_FILES,
        limits=("limit: network",),
        goals=(of_best_peer(0.85), at_most("requests", "one request a file", 3000)),
    ),
    Scenario(
        key="B6",
        title="killed at 90 % of 2 GiB, then to the end",
        collection="big",
        server="http",
        play=plays.resume,
        peers=("curl", "aria2", "http_get"),
        goals=(of_best_peer(0.30), at_most("fetched_again_mib", "at most 64 MiB fetched again", 64)),
    ),
    Scenario(
        key="B7",
        title="a second model that shares all files with the first (200 x 8 MiB and 2 GiB)",
        collection="again",
        also=("whole",),
        server="http",
        play=plays.second_model,
        connections=16,
        peers=("snapshot_download", "cp", "rclone copy"),
        goals=(
            of_fact("first_fetch_s", "the first fetch", 0.02),
            at_most("body_bytes", "0 bytes of files from the source", 0),
            at_most("added_mib", "at most 1 MiB more on disk", 1),
        ),
    ),
    Scenario(
        key="B8",
        title="checking 4 GiB that are there",
        collection="verify",
        server="http",
        play=plays.verify,
        connections=16,
        ours=(VERIFY_OURS, VERIFY_OURS_FULL),
        peers=("sha256sum", "rclone checksum"),
        goals=(
            of("sha256sum", 0.08, VERIFY_OURS),
            of(VERIFY_OURS_FULL, 0.15, VERIFY_OURS),
            of("sha256sum", 0.60, VERIFY_OURS_FULL),
        ),
    ),
    Scenario(
        key="B12",
        title="2 GiB and 200 x 8 MiB in a cgroup of 256 MiB, 16 connections",
        collection="whole",
        server="http",
        play=plays.confined,
        connections=16,
        peers=("hf_transfer",),
        goals=(
            at_most("rss_mib", "ends, memory ≤ 128 MiB", 128),
            at_most("oom_kills", "nothing killed for want of memory", 0),
        ),
    ),
)
BY_KEY = {scenario.key: scenario for scenario in SCENARIOS}
SMOKE = ("B1", "B7", "B8")
SMOKE_CONTENDERS = (OURS, VERIFY_OURS, VERIFY_OURS_FULL, "curl", "requests", "cp", "sha256sum")
