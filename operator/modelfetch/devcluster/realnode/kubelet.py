"""The kubelet's configuration and command line, and as whom it and the scheduler speak.

Comes in: folders and the cluster's certificates. Goes out: files in the node's folder. Both speak with the
administrator's token in another's name, so that the API server's Node authorizer and its admission hold for them.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from modelfetch.devcluster.certificates import REAL_NODE_ADDRESS

NODE_NAME = "real-node"
_RESYNC = "10s"


def kubelet_config(folder: Path, pki: Path, socket: Path, group: str) -> dict[str, Any]:
    """Return the KubeletConfiguration of a node whose Pods are in the control group `group`."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": REAL_NODE_ADDRESS,
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "node.crt"),
        "tlsPrivateKeyFile": str(pki / "node.key"),
        "containerRuntimeEndpoint": f"unix://{socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "localStorageCapacityIsolation": False,
        # The machine's disk is not the node's to tidy, and what it lacks must not end Pods that a test looks at.
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "resolvConf": "",
        "podLogsDir": str(folder / "pod-logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        # What was missing is looked for again soon; a minute by default.
        "syncFrequency": _RESYNC,
    }


def kubelet_command(kubelet: Path, folder: Path, kubeconfig: Path) -> list[str | Path]:
    """Return the command line of a kubelet that is configured by `config.json` in `folder`."""
    return [
        kubelet,
        f"--config={folder / 'config.json'}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={folder}",
        f"--cert-dir={folder / 'pki'}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={REAL_NODE_ADDRESS}",
    ]


def scheduler_command(scheduler: Path, kubeconfig: Path) -> list[str | Path]:
    """Return the command line of the scheduler; it has no port, whether it works is seen by what it does."""
    return [scheduler, f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0"]


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Afterwards `folder` has the file that `kubelet_command` names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def write_in_the_name_of(admin: Path, path: Path, user: str, groups: Sequence[str] = ()) -> Path:
    """Afterwards `path` is a kubeconfig by which the administrator of `admin` speaks as `user`."""
    config = yaml.safe_load(admin.read_text(encoding="utf-8"))
    config["users"][0]["user"] |= {"as": user, **({"as-groups": list(groups)} if groups else {})}
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
