"""Training and export of models: the only folder that imports torch.

It fine-tunes, validates, explains and exports networks, and knows manifests and recipes. It does
not know the command line, the service or the page.
"""

from ophis.train.loop import fit
from ophis.train.run_log import Progress, StepFigures
from ophis.train.stop import Stopped
from ophis.train.study import study

__all__ = ["Progress", "StepFigures", "Stopped", "fit", "study"]
