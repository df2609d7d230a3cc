"""Batch systems through dask-jobqueue: one core and one worker per job, settings from Dask's own configuration files.

Queue, project, walltime and memory are what a site sets once in ``~/.config/dask/jobqueue.yaml`` (or through
``DASK_JOBQUEUE__SLURM__QUEUE`` and the like); what is set there is left alone.
"""

from __future__ import annotations

from typing import Any, Final

from qtaml_hw.errors import InputError

BATCH_SYSTEMS: Final = {"slurm": "SLURMCluster", "lsf": "LSFCluster", "sge": "SGECluster", "pbs": "PBSCluster"}
_DEFAULTS: Final = {"cores": 1, "processes": 1, "memory": "4GB", "walltime": "08:00:00"}
_SHIPPED: Final = {"walltime": ("00:30:00", "00:30")}  # dask-jobqueue's own default, too short for a sweep
_EXTRA: Final[dict[str, dict[str, Any]]] = {"lsf": {"use_stdin": True, "lsf_units": "mb", "walltime": "08:00"}}


def batch_cluster(kind: str) -> Any:
    """A dask-jobqueue cluster without jobs yet.

    Raises InputError when dask-jobqueue is not installed, or its configuration does not do.
    """
    try:
        import dask
        import dask_jobqueue
    except ImportError as error:
        raise InputError(f"--cluster {kind} needs dask-jobqueue: pip install 'qtaml-hw[cluster]'") from error
    given = dask.config.get(f"jobqueue.{kind}", default={}) or {}
    ours = {**_DEFAULTS, **_EXTRA.get(kind, {})}
    settings = {name: value for name, value in ours.items() if given.get(name) in (None, *_SHIPPED.get(name, ()))}
    try:
        return getattr(dask_jobqueue, BATCH_SYSTEMS[kind])(**settings, scheduler_options={"dashboard_address": None})
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"--cluster {kind}: {error}") from error


def job_script(kind: str, jobs: int) -> str:
    """What would be submitted for every one of ``jobs`` workers; nothing is.

    Raises InputError for a cluster that has no job script.
    """
    if kind not in BATCH_SYSTEMS:
        raise InputError(f"--dry-run shows the job script of {', '.join(BATCH_SYSTEMS)}; {kind!r} has none")
    cluster = batch_cluster(kind)
    try:
        script: str = cluster.job_script()
    finally:
        cluster.close()
    return f"# submitted {jobs} times, one worker each\n{script}"
