"""The model room: what a search leaves to be used. Networks with all that turns rows into predictions, as two files without code.

A `Model` (`models`) is saved as weights (safetensors) and plain JSON (`saved`). `pipeline` is the one torch module from a source's
numbers to predictions; `new_rows` reads rows for it and measures its predictions, `exporting` writes it as ONNX or as torch's own
program.
"""

from hpsearch.model.models import Member, Model, model_of
from hpsearch.model.pipeline import predict
from hpsearch.model.saved import load_model, save_model

__all__ = ["Member", "Model", "load_model", "model_of", "predict", "save_model"]
