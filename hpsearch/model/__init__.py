"""The model room: what a search leaves to be used. Networks with all that turns rows into predictions, as two files without code.

`saved` keeps a `Model` as weights (safetensors) and plain JSON; `predicting` turns inputs into predictions; `transform` is the
preprocessing as a torch module, rebuilt from the JSON; `exporting` writes the whole as ONNX or as torch's own program.
"""

from hpsearch.model.predicting import predict
from hpsearch.model.saved import Member, Model, load_model, model_of, save_model

__all__ = ["Member", "Model", "load_model", "model_of", "predict", "save_model"]
