"""The networks of a run's studies, each loaded once in this process."""

from __future__ import annotations

from dataclasses import dataclass, field

from qtaml_hw.config import Study
from qtaml_hw.progress import Progress
from qtaml_hw.study.design.subject import Subject, load_subject


@dataclass(eq=False)
class Networks:
    """Networks already loaded in this process, by what they are made of; owned by the run that uses them."""

    progress: Progress | None = None
    _loaded: dict[str, Subject] = field(default_factory=dict)

    def load(self, study: Study) -> Subject:
        """The study's network, loaded at most once.

        Raises InputError for weights that do not fit, data that do not match, or a norm that cannot be folded.
        """
        sections = (study.network, study.data, study.weights, study.hardening)
        judged = (str(study.evaluate.images), study.evaluate.metric, str(study.folder))
        key = "|".join([*(s.model_dump_json() for s in sections), *judged])
        if key not in self._loaded:
            self._loaded[key] = load_subject(study, self.progress)
        return self._loaded[key]
