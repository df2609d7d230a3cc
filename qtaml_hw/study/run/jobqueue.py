"""Clusters that are started here: on this machine, or as jobs of a batch system through dask-jobqueue.

Whoever may talk to a Dask scheduler may run code in every process of its cluster, so each of them has certificates of
its own, made anew and never written but for the jobs that need them: nobody else can connect.  Nothing listens for
browsers unless a site asks for it.  Queue, project, walltime and memory are what a site sets once in
``~/.config/dask/jobqueue.yaml`` (or through ``DASK_JOBQUEUE__SLURM__QUEUE`` and the like); what is set there is left
alone.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from qtaml_hw.errors import InputError
from qtaml_hw.workloads import cache_folder

BATCH_SYSTEMS: Final = {"slurm": "SLURMCluster", "lsf": "LSFCluster", "sge": "SGECluster", "pbs": "PBSCluster"}
_DEFAULTS: Final = {"cores": 1, "processes": 1, "memory": "4GB", "walltime": "08:00:00"}
_SHIPPED: Final = {"walltime": ("00:30:00", "00:30")}  # dask-jobqueue's own default, too short for a sweep
_EXTRA: Final[dict[str, dict[str, Any]]] = {"lsf": {"use_stdin": True, "lsf_units": "mb", "walltime": "08:00"}}
_UNSEEN: Final = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}  # "None" would be port 8787 for everybody
_UNSEEN_WORKER: Final = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
_PLACE: Final = "tls://SCHEDULER:8786"  # in a job script that is only shown


def local_cluster(jobs: int) -> Any:
    """A Dask cluster of ``jobs`` processes, to be closed; nobody else, here or elsewhere, can reach it.

    Raises InputError when Dask or cryptography are not installed.
    """
    options = {"n_workers": jobs, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    unseen = {"dashboard_address": _UNSEEN["dashboard_address"], "scheduler_kwargs": {"dashboard": False}}
    return dask_package().LocalCluster(**options, **unseen, security=_certificates())


@contextmanager
def batch_cluster(kind: str) -> Iterator[Any]:
    """A dask-jobqueue cluster without jobs yet; it ends with the block.

    Its jobs read their certificate from files that only their owner may read, in a folder that goes with the cluster:
    beside the cached networks, unless the site's configuration names a place (``shared-temp-directory``).

    Raises InputError when dask-jobqueue or cryptography are not installed, or the configuration does not do.
    """
    settings, given = _settings(kind)
    watched = given.get("scheduler-options") or {}
    unseen = {} if "dashboard_address" in watched else _UNSEEN
    with ExitStack() as until_closed:
        try:
            security = until_closed.enter_context(_certificate_files(given.get("shared-temp-directory")))
            started = getattr(_jobqueue(kind), BATCH_SYSTEMS[kind])
            cluster = started(**settings, security=security, scheduler_options={**unseen, **watched})
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"--cluster {kind}: {error}") from error
        yield until_closed.enter_context(cluster)


def job_script(kind: str, jobs: int) -> str:
    """What would be submitted for every one of ``jobs`` workers; nothing is started, and nothing listens.

    Raises InputError for a cluster that has no job script.
    """
    if kind not in BATCH_SYSTEMS:
        raise InputError(f"--dry-run shows the job script of {', '.join(BATCH_SYSTEMS)}; {kind!r} has none")
    settings, _ = _settings(kind)
    files = {"tls_ca_file": "CA.pem", "tls_worker_cert": "CERTIFICATE.pem", "tls_worker_key": "KEY.pem"}
    named = dask_package().Security(require_encryption=True, **files)
    try:
        job = getattr(_jobqueue(kind), BATCH_SYSTEMS[kind]).job_cls
        script: str = job(_PLACE, name="WORKER", protocol="tls://", security=named, **settings).job_script()
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"--cluster {kind}: {error}") from error
    return f"# submitted {jobs} times, one worker each; capitals stand for what a run puts there\n{script}"


def dask_package() -> Any:
    """The package ``distributed``.

    Raises InputError where it is not installed.
    """
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise InputError("a cluster needs Dask: pip install 'qtaml-hw[cluster]'") from error


def _jobqueue(kind: str) -> Any:
    try:
        return importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise InputError(f"--cluster {kind} needs dask-jobqueue: pip install 'qtaml-hw[cluster]'") from error


def _settings(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ours where a site's configuration says nothing, and that configuration."""
    _jobqueue(kind)  # brings its part of Dask's configuration along
    given: dict[str, Any] = importlib.import_module("dask").config.get(f"jobqueue.{kind}", default={}) or {}
    ours = {**_DEFAULTS, **_EXTRA.get(kind, {})}
    settings = {name: value for name, value in ours.items() if given.get(name) in (None, *_SHIPPED.get(name, ()))}
    settings["worker_extra_args"] = [*_UNSEEN_WORKER, *(given.get("worker-extra-args") or ())]
    return settings, given


def _certificates() -> Any:
    """Certificates for one cluster, in memory: who has none of them is not let in.

    Raises InputError when ``cryptography`` is not installed.
    """
    try:
        return dask_package().Security.temporary()
    except ImportError as error:
        raise InputError(
            "a cluster that is started here needs cryptography: pip install 'qtaml-hw[cluster]'"
        ) from error


@contextmanager
def _certificate_files(place: str | None) -> Iterator[Any]:
    """The same in files, for workers on other machines. Raises OSError when ``place`` cannot be written."""
    made = _certificates()
    shared = cache_folder() if place is None else Path(os.path.expandvars(place)).expanduser()
    shared.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="cluster-", dir=shared) as folder:  # of mode 0700
        certificate, key = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
        certificate.write_text(made.tls_ca_file)
        key.touch(mode=0o600)
        key.write_text(made.tls_client_key)
        pairs = {f"tls_{role}_{part}" for role in ("client", "scheduler", "worker") for part in ("cert", "key")}
        files = {name: str(key if name.endswith("key") else certificate) for name in (*pairs, "tls_ca_file")}
        yield dask_package().Security(require_encryption=True, **files)
