"""Export of trained models as bundles: ONNX, 8 bits, timm's files, and `imagenet17`.

It knows torch networks and the files of a bundle. It does not know how a network was trained beyond
its run folder.
"""

from ophis.train.export.bundle import write_bundle
from ophis.train.export.imagenet17 import export_imagenet17
from ophis.train.export.quantisation import quantise
from ophis.train.export.run_export import Retest, export

__all__ = ["Retest", "export", "export_imagenet17", "quantise", "write_bundle"]
