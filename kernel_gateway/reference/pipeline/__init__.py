"""The image worker of the reference Image Ops API: one job, one confined process, one picture out.

Law: nothing here decodes a picture in the calling process; `run` hands the files to a child that has given up memory,
time and output size first. `sniff`, `type_of_name` and `parse_operations` are pure and load no image library.
"""

from kernel_gateway.reference.pipeline.formats import SNIFF_BYTES, sniff, type_of_name
from kernel_gateway.reference.pipeline.limits import PipelineLimits
from kernel_gateway.reference.pipeline.operations import parse_operations
from kernel_gateway.reference.pipeline.outcome import CODES, PipelineRefused, ProcessedImage
from kernel_gateway.reference.pipeline.process import run

__all__ = [
    "CODES",
    "SNIFF_BYTES",
    "PipelineLimits",
    "PipelineRefused",
    "ProcessedImage",
    "parse_operations",
    "run",
    "sniff",
    "type_of_name",
]
